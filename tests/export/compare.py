"""Compares exported networks with our own scores of the same pictures.

    compare.py FOLDER

FOLDER has a sub-folder a network, with case.json (shape, mean, std, count), pixels.bin (uint8
[count, H, W, C]), scores.bin (float32 [count, classes], or of a
network that segments [count, H, W, classes]), ONNX files and a PyTorch module. Prints what
was compared and the largest differences; exit code 1 where one is over the limit, 77 where there is
no ONNX Runtime.
"""

import importlib.util
import json
import pathlib
import sys

try:
    import numpy as np
    import onnxruntime
except ImportError as missing:
    print("no ONNX Runtime here:", missing)
    sys.exit(77)
try:
    import torch
except ImportError:
    torch = None
try:
    import onnx
except ImportError:
    onnx = None

LIMIT = 1e-4  # of logits in float32
failed = False


def softmax(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def compare(what, found, expected):
    global failed
    worst = float(np.abs(found - expected).max())
    print(f"{what}: largest difference {worst:.1e} of values up to {np.abs(expected).max():.2f}")
    if found.shape != expected.shape or not worst <= LIMIT:
        print(f"{what}: FAILED, the limit is {LIMIT}")
        failed = True


def compare_onnx(path, case, pixels, scores):
    if onnx is not None:
        file = onnx.load(str(path))
        onnx.checker.check_model(file, full_check=True)
        assert file.ir_version == 7 and file.opset_import[0].version == 13
        norms = sum(node.op_type == "BatchNormalization" for node in file.graph.node)
        assert (norms > 0) == ("keep" in path.stem), f"{path}: {norms} batch norms"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == case["class_names"]
    assert json.loads(about["input_mean"]) == case["mean"]
    assert json.loads(about["input_std"]) == case["std"]
    assert about["genome"] == case["genome"]
    images = pixels.transpose(0, 3, 1, 2)
    mean = np.array(case["mean"]).reshape(1, -1, 1, 1)
    std = np.array(case["std"]).reshape(1, -1, 1, 1)
    if about["input_values"].startswith("(value"):
        images = ((images / 255.0 - mean) / std).astype(np.float32)
    elif about["input_values"] == "0 to 1":
        images = (images / 255.0).astype(np.float32)
    expected = softmax(scores) if about["output"] == "probabilities" else scores
    name = session.get_inputs()[0].name
    assert name == "images" and session.get_outputs()[0].name == about["output"]
    compare(f"{path.parent.name}/{path.name}", session.run(None, {name: images})[0], expected)
    one = session.run(None, {name: images[:1]})[0]  # the batch is free
    compare(f"{path.parent.name}/{path.name}, one image", one, expected[:1])


def compare_torch(path, pixels, scores):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = network(module.normalise(images)).numpy()
    compare(f"{path.parent.name}/{path.name}", found, scores)
    network.train()
    network(module.normalise(images)).sum().backward()
    assert all(p.grad is not None for p in network.parameters()), "a parameter has no gradient"


def main():
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        case = json.loads((folder / "case.json").read_text())
        pixels = np.fromfile(folder / "pixels.bin", np.uint8).reshape(case["shape"])
        scores = np.fromfile(folder / "scores.bin", np.float32)
        if case["segments"]:
            count, height, width = case["shape"][:3]
            scores = scores.reshape(count, height, width, -1).transpose(0, 3, 1, 2)
        else:
            scores = scores.reshape(len(pixels), -1)
        for path in sorted(folder.glob("*.onnx")):
            compare_onnx(path, case, pixels, scores)
        if torch is not None:
            compare_torch(folder / "network.py", pixels, scores)
    if torch is None:
        print("no PyTorch here: the modules for it were not compared")
    sys.exit(1 if failed else 0)


main()
