"""A Python side of `cargo xtask interop --weights`: weights between radio-ssl and PyTorch, both ways.

    torch_weights.py make FOLDER    writes checkpoints as PyTorch users have them, with images and the features torchvision finds
    torch_weights.py check FOLDER   loads what radio-ssl wrote (strictly) and compares features

`FOLDER/NAME.safetensors` (weights) goes with `FOLDER/NAME.case.safetensors` (`images`, `features`). Prints one JSON object; exit code 1 if a
case is off by more than 1e-4 of the largest feature. Needs torch, torchvision, safetensors.
"""
import json
import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4


class PreActivation(torch.nn.Module):
    """The pre-activation ResNet-18 with the names radio-ssl writes (Keras layers, PyTorch tensors)."""

    def __init__(self, width):
        super().__init__()
        self.units = []
        norm = lambda channels: torch.nn.BatchNorm2d(channels, eps=2e-5, momentum=0.01)
        conv = lambda i, o, k, s: torch.nn.Conv2d(i, o, k, s, k // 2, bias=False)
        self.bn_data, self.conv0, self.bn0 = norm(3), conv(3, width, 7, 2), norm(width)
        channels = width
        for stage in range(4):
            for unit in range(2):
                out, stride = width << stage, 2 if stage and not unit else 1
                name = f"stage{stage + 1}_unit{unit + 1}_"
                self.add_module(name + "bn1", norm(channels))
                if not unit:
                    self.add_module(name + "sc", conv(channels, out, 1, stride))
                self.add_module(name + "conv1", conv(channels, out, 3, stride))
                self.add_module(name + "bn2", norm(out))
                self.add_module(name + "conv2", conv(out, out, 3, 1))
                self.units.append(name)
                channels = out
        self.bn1 = norm(channels)

    def forward(self, x):
        relu = torch.nn.functional.relu
        x = relu(self.bn0(self.conv0(self.bn_data(x))))
        x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
        for name in self.units:
            layer = lambda part: getattr(self, name + part)
            a = relu(layer("bn1")(x))
            shortcut = layer("sc")(a) if hasattr(self, name + "sc") else x
            x = layer("conv2")(relu(layer("bn2")(layer("conv1")(a)))) + shortcut
        return relu(self.bn1(x)).mean((2, 3))


def network(state):
    """A module of the right kind and width for a state dict, without its classifier."""
    if "conv_proj.weight" in state:
        return transformer(state)
    if "conv0.weight" in state:
        return PreActivation(state["conv0.weight"].shape[0])
    width = state["conv1.weight"].shape[0]
    bottleneck = "layer1.0.conv3.weight" in state
    deep = "layer1.2.conv1.weight" in state
    block = torchvision.models.resnet.Bottleneck if bottleneck else torchvision.models.resnet.BasicBlock
    if width == 64:
        model = {(False, False): torchvision.models.resnet18, (False, True): torchvision.models.resnet34}.get((bottleneck, deep), torchvision.models.resnet50)()
    else:
        model = torchvision.models.ResNet(block, [3, 4, 6, 3] if deep else [2, 2, 2, 2])
        narrow(model, width, block, deep)
    model.fc = torch.nn.Identity()
    return model


def transformer(state):
    """torchvision's vision transformer of a state dict's sizes. No tensor tells the heads: 3 of 32 in the tiny one, 64 wide in others."""
    width, _, patch, _ = state["conv_proj.weight"].shape
    side = int((state["encoder.pos_embedding"].shape[1] - 1) ** 0.5)
    blocks = sum(name.endswith("ln_1.weight") for name in state)
    hidden = state["encoder.layers.encoder_layer_0.mlp.0.weight"].shape[0]
    heads = 3 if width == 96 else width // 64
    model = torchvision.models.VisionTransformer(side * patch, patch, blocks, heads, width, hidden)
    model.heads = torch.nn.Identity()
    return model


def timm_names(state):
    """torchvision's names of a vision transformer as timm has them."""
    pairs = [("encoder.layers.encoder_layer_", "blocks."), ("class_token", "cls_token"), ("encoder.pos_embedding", "pos_embed"), ("conv_proj.", "patch_embed.proj."),
             ("encoder.ln.", "norm."), ("ln_1.", "norm1."), ("ln_2.", "norm2."), ("self_attention.in_proj_", "attn.qkv."), ("self_attention.out_proj.", "attn.proj."),
             ("mlp.0.", "mlp.fc1."), ("mlp.3.", "mlp.fc2."), ("heads.head.", "head.")]
    renamed = {}
    for name, value in state.items():
        for ours, theirs in pairs:
            name = name.replace(ours, theirs)
        renamed[name] = value
    return renamed


def narrow(model, width, block, deep):
    """torchvision's ResNet has no width for basic blocks: its layers are made anew."""
    model.inplanes = width
    model.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
    model.bn1 = torch.nn.BatchNorm2d(width)
    for stage, count in enumerate([3, 4, 6, 3] if deep else [2, 2, 2, 2]):
        setattr(model, f"layer{stage + 1}", model._make_layer(block, width << stage, count, stride=2 if stage else 1))


def difference(got, want):
    return float((got - want).abs().max()), float(want.abs().max())


def check(folder):
    cases = []
    for path in sorted(folder.glob("*.case.safetensors")):
        name = path.name.removesuffix(".case.safetensors")
        case, state = load_file(path), load_file(folder / f"{name}.safetensors")
        model = network(state)
        model.load_state_dict(state)  # strict
        with torch.no_grad():
            got = model.eval()(case["images"])
        off, largest = difference(got, case["features"])
        cases.append(dict(case=name, off=off, largest=largest, ok=off <= TOLERANCE * largest))
    return cases


def settled(model, images):
    """Moves the running statistics away from 0 and 1, so that they matter."""
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(images)
    return model.eval()


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    images = torch.rand(2, 3, 70, 62)
    cases = []

    def case(name, model, write):
        classifier, model.fc = model.fc, torch.nn.Identity()
        with torch.no_grad():
            features = settled(model, images)(images)
        model.fc = classifier
        write(model, folder / name)
        save_file(dict(images=images, features=features), folder / f"{name}.expected.safetensors")
        cases.append(dict(case=name, largest=float(features.abs().max()), ok=True))

    prefixed = lambda prefix, model: {prefix + key: value for key, value in model.state_dict().items() if not key.startswith("fc.")}
    case("resnet18.pth", torchvision.models.resnet18(), lambda m, p: torch.save(m.state_dict(), p))
    case("resnet18-old.pth", torchvision.models.resnet18(), lambda m, p: torch.save(m.state_dict(), p, _use_new_zipfile_serialization=False))
    case("resnet34-module.pth", torchvision.models.resnet34(), lambda m, p: torch.save(prefixed("module.", m), p))
    case("resnet50.safetensors", torchvision.models.resnet50(), lambda m, p: save_file(m.state_dict(), p))
    case("resnet18-half.pt", torchvision.models.resnet18(), lambda m, p: torch.save({k: v.bfloat16() if v.is_floating_point() else v for k, v in m.state_dict().items()}, p))

    def lightning(model, path):
        state = prefixed("backbone.", model) | prefixed("momentum_backbone.", model) | {"projector.0.weight": torch.zeros(4, 512)}
        adam = torch.optim.Adam(model.parameters())
        torch.save({"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 0.1, "path": Path("/data")}, "optimizer_states": [adam.state_dict()]}, path)

    case("solo-learn.ckpt", torchvision.models.resnet18(), lightning)

    images = torch.rand(2, 3, 96, 96)
    for name, write in [("vit_s.pth", lambda s, p: torch.save(s, p)), ("vit_s-timm.safetensors", lambda s, p: save_file(timm_names(s), p))]:
        model = torchvision.models.VisionTransformer(96, 16, 12, 6, 384, 1536, num_classes=1000).eval()
        write(model.state_dict(), folder / name)
        model.heads = torch.nn.Identity()
        with torch.no_grad():
            features = model(images).contiguous()
        save_file(dict(images=images, features=features), folder / f"{name}.expected.safetensors")
        cases.append(dict(case=name, largest=float(features.abs().max()), ok=True))
    return cases


if __name__ == "__main__":
    verb, folder = sys.argv[1], Path(sys.argv[2])
    found = dict(make=make, check=check)[verb](folder)
    ok = bool(found) and all(case["ok"] for case in found)
    print(json.dumps(dict(torch=torch.__version__, torchvision=torchvision.__version__, tolerance=TOLERANCE, cases=found, ok=ok), indent=1))
    sys.exit(0 if ok else 1)
