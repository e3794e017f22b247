"""A Python side of `cargo xtask interop --weights`: ONNX files of radio-ssl in onnxruntime.

    onnx_weights.py check FOLDER    runs FOLDER/NAME.onnx on the images of FOLDER/NAME.case.safetensors and compares features

Also checks the graph against ONNX's own rules, and that other batch sizes and image sizes run. Prints one JSON object; exit code 1 if a case
is off by more than 1e-4 of the largest feature. Needs onnx, onnxruntime, numpy, safetensors.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def check(folder):
    cases = []
    for path in sorted(folder.glob("*.case.safetensors")):
        name = path.name.removesuffix(".case.safetensors")
        case, file = load_file(path), folder / f"{name}.onnx"
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (got,) = session.run(["features"], {"images": case["images"]})
        off, largest = float(np.abs(got - case["features"]).max()), float(np.abs(case["features"]).max())
        (other,) = session.run(["features"], {"images": np.zeros((3, 3, 97, 130), np.float32)})
        free = other.shape == (3, got.shape[1]) and bool(np.isfinite(other).all())
        opset = model.opset_import[0].version
        cases.append(dict(case=name, off=off, largest=largest, opset=opset, free_axes=free, ok=off <= TOLERANCE * largest and free and opset == 17))
    return cases


if __name__ == "__main__":
    found = dict(check=check)[sys.argv[1]](Path(sys.argv[2]))
    ok = bool(found) and all(case["ok"] for case in found)
    print(json.dumps(dict(onnx=onnx.__version__, onnxruntime=onnxruntime.__version__, tolerance=TOLERANCE, cases=found, ok=ok), indent=1))
    sys.exit(0 if ok else 1)
