#!/usr/bin/env python3
"""Training steps of RENASNet with PyTorch, on the CPU or a GPU: what `renas-bench train` is compared with.

Builds the search network of `renas-bench train` (CIFAR form, no auxiliary head), takes whole steps
with SGD (momentum 0.9, weight decay 3e-4) and prints images/s as JSON. Any Python that has torch will
do. --compile uses torch.compile (PyTorch 2), --precision bf16 autocast; the first steps, compilation
among them, are not timed. --device cuda trains on a GPU, --graph records the whole step as one CUDA
graph, --tf32 lets float32 convolutions round to TF32. Checks its parameter count against the published
one, so that both train the same network, and that the loss falls.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

RENASNET = ("c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:avg3x3,"
            "c-1:sep5x5+c-2:sep3x3,1:identity+1:sep3x3")


class Separable(nn.Module):
    def __init__(self, before, after, kernel, stride):
        super().__init__()
        layers = []
        for i, channels in enumerate((before, after)):
            layers += [nn.ReLU(), nn.Conv2d(channels, channels, kernel, stride if i == 0 else 1,
                                            kernel // 2, groups=channels, bias=False),
                       nn.Conv2d(channels, after, 1, bias=False), nn.BatchNorm2d(after)]
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return self.body(x)


class Adapter(nn.Module):
    """ReLU, 1x1 conv, BN; or the factorized reduction where the size must halve."""

    def __init__(self, before, after, halve):
        super().__init__()
        self.halve = halve
        if halve:
            self.a = nn.Conv2d(before, after // 2, 1, 2, bias=False)
            self.b = nn.Conv2d(before, after - after // 2, 1, 2, bias=False)
        else:
            self.a = nn.Conv2d(before, after, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x):
        x = F.relu(x)
        if not self.halve:
            return self.norm(self.a(x))
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.a(x), self.b(shifted)], 1))


class Cell(nn.Module):
    def __init__(self, genome, before2, before1, channels, stride, halve):
        super().__init__()
        self.adapt2 = (nn.Identity() if before2 is None else Adapter(before2, channels, halve))
        self.adapt1 = Adapter(before1, channels, False)
        self.blocks = []
        self.operators = nn.ModuleList()
        used = set()
        for block in genome.split(","):
            halves = []
            for half in block.split("+"):
                source, operator = half.split(":")
                step = stride if source.startswith("c-") else 1
                used.add(source)
                if operator.startswith("sep"):
                    module = Separable(channels, channels, int(operator[3]), step)
                elif operator == "avg3x3":
                    module = nn.AvgPool2d(3, step, 1, count_include_pad=False)
                elif operator == "max3x3" or step == 2:
                    module = nn.MaxPool2d(3, step, 1)
                else:
                    module = nn.Identity()
                halves.append((source, len(self.operators)))
                self.operators.append(module)
            self.blocks.append(halves)
        self.out = [str(b + 1) for b in range(len(self.blocks)) if str(b + 1) not in used]
        self.channels = channels * len(self.out)

    def forward(self, before2, before1):
        values = {"c-2": self.adapt2(before2), "c-1": self.adapt1(before1)}
        for b, halves in enumerate(self.blocks):
            values[str(b + 1)] = sum(self.operators[i](values[s]) for s, i in halves)
        return torch.cat([values[b] for b in self.out], 1)


class Network(nn.Module):
    def __init__(self, cells, filters, in_channels, classes):
        super().__init__()
        stem = 3 * filters
        self.stem = nn.Sequential(nn.Conv2d(in_channels, stem, 3, 1, 1, bias=False),
                                  nn.BatchNorm2d(stem))
        self.cells = nn.ModuleList()
        before2, before1, size2, size1 = stem, stem, 1, 1
        plan = []
        for stage in range(3):
            if stage:
                plan.append((filters << stage, 2))
            plan += [(filters << stage, 1)] * cells
        for i, (channels, stride) in enumerate(plan):
            cell = Cell(RENASNET, None if i == 0 and before2 == channels else before2, before1,
                        channels, stride, size2 != size1)
            self.cells.append(cell)
            before2, before1, size2, size1 = before1, cell.channels, size1, size1 * stride
        self.classifier = nn.Linear(before1, classes)

    def forward(self, x):
        before = last = self.stem(x)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classifier(F.relu(last).mean((2, 3)))


class Step:
    """One training step, eager, compiled, or recorded as a CUDA graph."""

    def __init__(self, network, images, labels, options):
        self.optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, weight_decay=3e-4)
        self.network = torch.compile(network) if options.compile else network
        self.images, self.labels = images, labels
        self.cast = torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16")
        self.graph = None

    def plain(self):
        self.optimizer.zero_grad(set_to_none=True)
        with self.cast:
            self.loss = F.cross_entropy(self.network(self.images), self.labels)
        self.loss.backward()
        self.optimizer.step()

    def record(self):
        """As PyTorch's notes on CUDA graphs ask: a few steps on a stream beside, then the recording."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.plain()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            with self.cast:
                self.loss = F.cross_entropy(self.network(self.images), self.labels)
            self.loss.backward()
            self.optimizer.step()
        self.graph = graph

    def __call__(self):
        if self.graph is not None:
            self.graph.replay()
        else:
            self.plain()


def measure(options, layout):
    torch.manual_seed(1)
    height, width, channels = (int(v) for v in options.image.split("x"))
    network = Network(options.cells, options.filters, channels, options.classes).to(options.device)
    parameters = sum(p.numel() for p in network.parameters())
    if (options.cells, options.filters, options.image, options.classes) == (2, 24, "32x32x3", 10):
        assert parameters == 827314, parameters
    images = torch.randn(options.batch, channels, height, width, device=options.device)
    labels = torch.randint(options.classes, (options.batch,), device=options.device)
    if layout == "channels_last":
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    gpu = options.device == "cuda"
    if gpu:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = options.tf32
        torch.backends.cuda.matmul.allow_tf32 = options.tf32
    step = Step(network, images, labels, options)
    step.plain()
    first = float(step.loss)
    if options.graph:
        step.record()
    # Steps of a GPU are timed in groups, as in a training, where few steps wait for it.
    together = min(16 if gpu else 1, options.steps)
    times = []
    processor = 0.0
    done = -options.warmup
    while done < options.steps:
        if done == 0:
            processor = time.process_time()
        count = together if done >= 0 else 1
        start = time.perf_counter()
        for _ in range(count):
            step()
        if gpu:
            torch.cuda.synchronize()
        if done >= 0:
            times.append((time.perf_counter() - start) / count)
        done += count
    processor = time.process_time() - processor
    last = float(step.loss)
    assert last < first or done < 20, f"the loss did not fall: {first} to {last}"
    if gpu:
        peak = torch.cuda.max_memory_reserved()
    else:
        with open("/proc/self/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    return {"layout": layout, "precision": options.precision, "compiled": options.compile,
            "device": options.device, "graph": options.graph, "tf32": options.tf32,
            "parameters": parameters,
            "images_per_second": options.batch / statistics.median(times),
            "images_per_processor_second": options.batch * done / processor,
            "images_per_second_minimum": options.batch / max(times),
            "images_per_second_maximum": options.batch / min(times), "peak_bytes": peak}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--filters", type=int, default=24)
    parser.add_argument("--image", default="32x32x3", help="HxWxC")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=3, help="steps before those that are timed")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="by torch.compile")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--layout", choices=("nchw", "channels_last"), default="channels_last")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--graph", action="store_true", help="one CUDA graph a step")
    parser.add_argument("--tf32", action="store_true", help="float32 convolutions may round to TF32")
    options = parser.parse_args()
    if options.warmup < 1 or options.steps < 1:
        parser.error("--warmup and --steps: expected 1 or more")
    if options.compile and not hasattr(torch, "compile"):
        parser.error(f"--compile: PyTorch {torch.__version__} has no torch.compile")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no GPU here")
    if options.graph and options.device != "cuda":
        parser.error("--graph needs --device cuda")
    torch.set_num_threads(options.threads)
    print(json.dumps({"torch": torch.__version__, "threads": options.threads,
                      **measure(options, options.layout)}))


if __name__ == "__main__":
    main()
