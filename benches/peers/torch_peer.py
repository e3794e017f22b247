"""PyTorch's side of `cargo xtask bench-peers`: one case a process, one timing a request.

    python3 torch_peer.py '{"task": "step", "precision": "f32", "side": 224, "count": 16, "repeats": 1, "threads": 2}'

The case comes as JSON; after two warm-up rounds the script prints one JSON line {"ready": ..., "version": ...}, then for every
line on standard input one JSON line {"seconds": per repeat, "peak_kib": VmHWM so far}. It ends with its input.

Tasks: `step` (SimCLR step of ResNet-18 on `count` pairs), `embed` (features of `count` images), `nt_xent` (loss, forward and
backward, on `count` pairs of 128 numbers). Layout is channels last and Adam fused: what PyTorch is fastest with on a CPU.
"""
import json
import platform
import sys
import time

CASE = json.loads(sys.argv[1])

try:
    import torch
    from torchvision.models import resnet18
except ImportError as error:
    sys.exit(f"{error}: run `{sys.executable} -m pip install torch torchvision`, or name another interpreter with --python")

torch.set_num_threads(CASE["threads"])
torch.manual_seed(0)
COUNT, SIDE, BF16 = CASE["count"], CASE["side"], CASE["precision"] == "bf16"


def nt_xent(z, temperature=0.1):
    """Chen et al. 2020, eq. 1; rows k and N + k are views of one image."""
    n = z.shape[0] // 2
    unit = torch.nn.functional.normalize(z, dim=1)
    logits = (unit @ unit.T / temperature).fill_diagonal_(-torch.inf)
    return torch.nn.functional.cross_entropy(logits, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def images(count):
    return torch.rand(count, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)


def step():
    model = resnet18(weights=None)
    model.fc = torch.nn.Sequential(torch.nn.Linear(512, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128))
    model = model.train().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)
    views = images(2 * COUNT)

    def work():
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=BF16):
            z = model(views)
        loss = nt_xent(z.float())
        loss.backward()
        adam.step()
        return loss.item()

    return work


def embed():
    model = resnet18(weights=None)
    model.fc = torch.nn.Identity()
    dtype = torch.bfloat16 if BF16 else torch.float32
    model = model.eval().to(dtype).to(memory_format=torch.channels_last)
    batch = images(COUNT).to(dtype)

    def work():
        with torch.inference_mode():
            return model(batch).float().sum().item()

    return work


def loss_alone():
    z = torch.rand(2 * COUNT, 128).mul_(2).sub_(1).requires_grad_()

    def work():
        z.grad = None
        loss = nt_xent(z)
        loss.backward()
        return loss.item()

    return work


def peak_kib():
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None


def say(**line):
    print(json.dumps(line), flush=True)


def main():
    work = {"step": step, "embed": embed, "nt_xent": loss_alone}[CASE["task"]]()
    for _ in range(2):
        work()
    say(ready=CASE["task"], version=f"PyTorch {torch.__version__}, Python {platform.python_version()}")
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(CASE["repeats"]):
            work()
        say(seconds=(time.perf_counter() - start) / CASE["repeats"], peak_kib=peak_kib())


main()
