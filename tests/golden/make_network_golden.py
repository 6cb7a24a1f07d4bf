#!/usr/bin/python3
"""Writes network.txt: one training step of a small network in float64 PyTorch (made with 1.13).

The network has every layer of the search space and some beyond: tests/conformance/golden_test.cpp
builds the same one. Inputs and weights are rounded to float32 first, so that both start from the
same numbers. Each line: kind, name, shape joined by x, values. Kinds: input, label, weight,
gradient, after (batch-norm statistics after the step), value (loss, scores in inference).
"""
import torch
from torch.nn import functional as F

torch.manual_seed(20190616)
LINES = []
WEIGHTS = {}
STATISTICS = {}


def write(kind, name, tensor):
    values = " ".join(repr(v) for v in tensor.detach().double().reshape(-1).tolist())
    shape = "x".join(str(n) for n in tensor.shape) or "1"
    LINES.append(f"{kind} {name} {shape} {values}")


def weight(name, *shape, low=None, high=None):
    if name not in WEIGHTS:
        fan_in = 1
        for n in shape[1:]:
            fan_in *= n
        tensor = torch.randn(shape) / fan_in ** 0.5 if low is None else torch.empty(shape).uniform_(low, high)
        WEIGHTS[name] = tensor.float().double().requires_grad_()
    return WEIGHTS[name]


def conv(name, x, out, kernel=1, stride=1, padding=0, dilation=1, groups=1):
    return F.conv2d(x, weight(name + "/weight", out, x.shape[1] // groups, kernel, kernel), None, stride,
                    padding, dilation, groups)


def norm(name, x, training):
    channels = x.shape[1]
    scale = weight(name + "/scale", channels, low=0.5, high=1.5)
    shift = weight(name + "/shift", channels, low=-0.5, high=0.5)
    if name not in STATISTICS:
        mean = torch.empty(channels).uniform_(-0.5, 0.5).float().double()
        variance = torch.empty(channels).uniform_(0.5, 1.5).float().double()
        STATISTICS[name] = (mean, variance)
        write("weight", name + "/mean", mean)
        write("weight", name + "/variance", variance)
    mean, variance = STATISTICS[name]
    return F.batch_norm(x, mean, variance, scale, shift, training, 0.1, 1e-5)


def separable(name, x, out, kernel, stride, training):
    for layer in range(2):
        x = conv(f"{name}{layer}/depthwise", F.relu(x), x.shape[1], kernel, stride if layer == 0 else 1,
                 kernel // 2, groups=x.shape[1])
        x = norm(f"{name}{layer}/bn", conv(f"{name}{layer}/pointwise", x, out), training)
    return x


def network(x, training):
    stem = norm("stem/bn", conv("stem", x, 6, 3, padding=1), training)
    a = separable("a", stem, 6, 5, 2, training)
    b = F.max_pool2d(stem, 3, 2, 1)
    c = F.avg_pool2d(stem, 3, 2, 1, count_include_pad=False)
    d = separable("d", stem, 6, 7, 2, training)
    one = a + b
    two = c + d
    relu = F.relu(stem)
    shifted = F.pad(relu, (0, 1, 0, 1))[:, :, 1:, 1:]
    reduced = torch.cat([conv("half0", relu, 3, stride=2), conv("half1", shifted, 3, stride=2)], 1)
    reduced = norm("reduced/bn", reduced, training)
    three = reduced + separable("e", one, 6, 3, 1, training)
    out = torch.cat([two, three], 1)
    out = norm("atrous/bn", conv("atrous", F.relu(out), 8, 3, padding=2, dilation=2), training)
    out = conv("grouped", F.relu(out), 8, 3, padding=1, groups=4)
    out = F.relu(out).mean((2, 3))
    return F.linear(out, weight("classifier/weight", 5, 8),
                    weight("classifier/bias", 5, low=-0.5, high=0.5))


def main():
    images = torch.randn(3, 2, 9, 8).float().double()
    labels = torch.tensor([4, 0, 2])
    write("input", "images", images)
    write("label", "labels", labels)
    scores = network(images, True)
    loss = F.cross_entropy(scores, labels, label_smoothing=float(torch.tensor(0.1)))
    loss.backward()
    for name, tensor in WEIGHTS.items():
        write("weight", name, tensor)
        write("gradient", name, tensor.grad)
    for name, (mean, variance) in STATISTICS.items():
        write("after", name + "/mean", mean)
        write("after", name + "/variance", variance)
    write("value", "loss", loss)
    write("value", "scores", network(images, False))
    with open("network.txt", "w", encoding="ascii") as file:
        file.write("\n".join(LINES) + "\n")


if __name__ == "__main__":
    main()
