#!/usr/bin/env python3
"""Counts parameters and mult-adds of cell networks from their definition alone.

Shares nothing with the library: plain Python, written from the description of the networks, so that two
independent readings of it are compared. First checks itself against known sizes, then writes counts.txt
beside itself, one case a line:

    genome network cells filters stem HxWxC classes concat_c2 parameters mult_adds

genome is a cell, or renas/CELL/CELL: one for stride 1, another for stride 2. network is cifar or imagenet; stem is the number of filters of the stem; concat_c2 is 0 or 1.
Run it after changing it; `git diff` then shows which sizes changed.
"""

import pathlib
import random

OPERATORS = ["sep3x3", "sep5x5", "sep7x7", "avg3x3", "max3x3", "identity"]
RENASNET = ("c-2:sep5x5+c-1:sep3x3,c-1:identity+c-1:sep3x3,c-2:sep3x3+c-2:avg3x3,"
            "c-1:sep5x5+c-2:sep3x3,1:identity+1:sep3x3")
SKIPPING = "c-2:sep3x3+c-2:identity,1:max3x3+1:identity"


def parse(genome):
    """[[(input, operator), (input, operator)], ...]; inputs are 'c-2', 'c-1' or the number of a block."""
    return [[tuple(half.split(":")) for half in block.split("+")] for block in genome.split(",")]


class Cell:
    def __init__(self, genome):
        self.blocks = parse(genome)
        self.read = {source for block in self.blocks for source, _ in block}
        self.leaves = sum(str(number) not in self.read for number in range(1, len(self.blocks) + 1))


def half_up(n):
    return (n + 1) // 2


class Tally:
    def __init__(self):
        self.parameters = 0
        self.mult_adds = 0

    def conv(self, weights, positions):
        """A convolution without bias: every weight is used once at every position of the output."""
        self.parameters += weights
        self.mult_adds += weights * positions

    def norm(self, channels):
        self.parameters += 2 * channels


def frame(network, cells, filters):
    """The row of cells as (filters, stride)."""
    row = [(filters // 4, 2), (filters // 2, 2)] if network == "imagenet" else []
    for stage, width in enumerate((filters, 2 * filters, 4 * filters)):
        row += [(width, 2)] if stage else []
        row += [(width, 1)] * cells
    return row


def count(genome, network, cells, filters, stem, height, width, channels, classes, concat_c2):
    cells_of = [Cell(text) for text in genome.removeprefix("renas/").split("/")]
    by_stride = {1: cells_of[0], 2: cells_of[-1]}
    row = frame(network, cells, filters)

    # Maps by position: 0 is the stem, k the k-th cell: (height, width, channels).
    if network == "imagenet":
        height, width = (height - 3) // 2 + 1, (width - 3) // 2 + 1
    maps = [(height, width, stem)]
    for f, stride in row:
        h, w, _ = maps[-1]
        if stride == 2:
            maps.append((half_up(h), half_up(w), f * by_stride[2].leaves))
        else:
            maps.append((h, w, f * (by_stride[1].leaves + concat_c2)))

    def reads_c2(stride):
        return "c-2" in by_stride[stride].read or (concat_c2 and stride == 1)

    # Which maps somebody reads, from the classifier backwards.
    live = {len(row)}
    for k in range(len(row), 0, -1):
        if k in live:
            if "c-1" in by_stride[row[k - 1][1]].read:
                live.add(k - 1)
            if reads_c2(row[k - 1][1]):
                live.add(max(k - 2, 0))
    assert 0 in live

    tally = Tally()
    tally.conv(3 * 3 * channels * stem, height * width)
    tally.norm(stem)

    for k in range(1, len(row) + 1):
        if k not in live:
            continue
        f, stride = row[k - 1]
        h, w, c1 = maps[k - 1]
        h2, w2, c2 = maps[max(k - 2, 0)]
        if "c-1" in by_stride[stride].read:
            tally.conv(c1 * f, h * w)
            tally.norm(f)
        if reads_c2(stride):
            if k == 1 and c2 == f:
                pass  # the stem itself
            elif (h2, w2) == (h, w):
                tally.conv(c2 * f, h * w)
                tally.norm(f)
            else:  # factorized reduction
                assert (half_up(h2), half_up(w2)) == (h, w) and f % 2 == 0
                for _ in range(2):
                    tally.conv(c2 * (f // 2), h * w)
                tally.norm(f)
        out_h, out_w, _ = maps[k]
        for block in by_stride[stride].blocks:
            for _, operator in block:
                if operator.startswith("sep"):
                    side = int(operator[-1])
                    for _ in range(2):  # the stride is in the first depthwise, so all four are of the output's size
                        tally.conv(side * side * f, out_h * out_w)
                        tally.conv(f * f, out_h * out_w)
                        tally.norm(f)

    features = maps[-1][2]
    tally.conv(features * classes, 1)
    tally.parameters += classes  # bias
    return tally.parameters, tally.mult_adds


KNOWN = [
    ((RENASNET, "cifar", 2, 24, 72, 32, 32, 3, 10, 0), (827314, 130957056)),
    ((RENASNET, "cifar", 6, 32, 96, 32, 32, 3, 10, 0), (3512042, 543511552)),
    ((RENASNET, "imagenet", 4, 44, 32, 224, 224, 3, 1000, 0), (5239908, 571597120)),
    ((RENASNET, "imagenet", 4, 44, 32, 224, 224, 3, 1000, 1), (5677268, 608200896)),
    ((RENASNET, "cifar", 1, 8, 24, 31, 31, 3, 10, 0), (74866, 12015608)),
    ((SKIPPING, "cifar", 2, 24, 72, 32, 32, 3, 10, 0), (68722, 11428800)),
]


def draw_genome(rng):
    number = rng.randint(1, 7)
    kind = rng.choice(["free", "free", "no c-1", "no c-2", "chain", "wide"])
    cell_inputs = {"no c-1": ["c-2"], "no c-2": ["c-1"]}.get(kind, ["c-2", "c-1"])
    blocks = []
    for b in range(1, number + 1):
        earlier = [] if kind == "wide" else [str(e) for e in range(1, b)]
        inputs = [rng.choice(cell_inputs + earlier) for _ in range(2)]
        if kind == "chain" and b > 1:
            inputs[rng.randrange(2)] = str(b - 1)
        blocks.append("+".join(f"{i}:{rng.choice(OPERATORS)}" for i in inputs))
    return ",".join(blocks)


def draw_side(rng, smallest):
    return rng.choice([rng.randint(smallest, smallest + 8), rng.randint(9, 65), rng.randint(9, 65),
                       rng.randint(100, 260)])


def draw_case(rng):
    network = rng.choice(["cifar", "cifar", "imagenet"])
    cells = rng.randint(1, 5)
    if network == "cifar":
        filters = rng.randint(1, 40)
        stem = rng.choice([3 * filters, 3 * filters, filters, rng.randint(1, 100)])
        smallest = 1
    else:
        filters = 4 * rng.choice([rng.randint(1, 15), 32])  # 128: the first cell passes c-2 unchanged
        stem = 32
        smallest = 3
    height = draw_side(rng, smallest)
    width = height if rng.random() < 0.3 else draw_side(rng, smallest)
    return (draw_genome(rng), network, cells, filters, stem, height, width, rng.choice([1, 3]),
            rng.choice([2, 10, 100, 1000, rng.randint(2, 300)]), rng.randint(0, 1))


def main():
    for case, expected in KNOWN:
        found = count(*case)
        assert found == expected, f"{case}: expected {expected}, found {found}"
    rng = random.Random(2019)
    cases = [case for case, _ in KNOWN]
    # What a random draw seldom meets: the smallest pictures, where halving stops at one pixel.
    cases += [(genome, network, 2, 8, 32 if network == "imagenet" else 24, height, width, 1, 10, concat)
              for genome in (RENASNET, SKIPPING)
              for network, height, width in (("cifar", 5, 7), ("cifar", 1, 1), ("cifar", 1, 9), ("cifar", 2, 3),
                                             ("imagenet", 3, 3), ("imagenet", 4, 20), ("imagenet", 5, 7))
              for concat in (0, 1)]
    cases += [draw_case(rng) for _ in range(400)]
    for _ in range(100):
        genome, *rest = draw_case(rng)
        cases.append((f"renas/{genome}/{draw_genome(rng)}", *rest))
    lines = []
    for case in cases:
        genome, network, cells, filters, stem, height, width, channels, classes, concat = case
        lines.append(" ".join(map(str, (genome, network, cells, filters, stem, f"{height}x{width}x{channels}",
                                        classes, concat, *count(*case)))))
    pathlib.Path(__file__).with_name("counts.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
