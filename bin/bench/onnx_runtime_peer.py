#!/usr/bin/env python3
"""Latency and throughput of a trained network, here and in ONNX Runtime, on the same file.

Exports MODEL by renas-export, then measures in turns, ROUNDS times: renas-bench predict, ONNX Runtime
with one thread and one picture at a time, the same in several processes, and the time that the
whole program renas-predict needs from its start to the label of one picture. Prints medians and the
median of the ratios within a round. Any Python that has onnxruntime will do.

    bin/bench/onnx_runtime_peer.py MODEL PICTURE --bin build/bin
"""
import argparse
import json
import multiprocessing
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
import onnxruntime


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def latencies(path, seconds):
    """The seconds of single predictions."""
    session = session_of(path)
    given = session.get_inputs()[0]
    picture = numpy.random.default_rng(1).standard_normal([1, *given.shape[1:]], dtype=numpy.float32)
    for _ in range(3):
        session.run(None, {given.name: picture})
    times = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        one = time.perf_counter()
        session.run(None, {given.name: picture})
        times.append(time.perf_counter() - one)
    return times


def first_prediction(path):
    begin = time.perf_counter()
    session = session_of(path)
    given = session.get_inputs()[0]
    session.run(None, {given.name: numpy.zeros([1, *given.shape[1:]], numpy.float32)})
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/bin"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    rows = {name: ([], []) for name in ("first prediction, ms", "latency, ms", "pictures a second")}
    starts = []
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(options.threads) as pool:
        network = pathlib.Path(folder) / "network.onnx"
        subprocess.run([options.bin / "renas-export", options.model, network], check=True,
                       stdout=subprocess.DEVNULL)
        for _ in range(options.rounds):
            ours = json.loads(subprocess.run(
                [options.bin / "renas-bench", "predict", options.model, "--json", "--threads",
                 str(options.threads), "--seconds", str(options.seconds)],
                check=True, capture_output=True).stdout)
            theirs = statistics.median(latencies(network, options.seconds))
            many = pool.starmap(latencies, [(network, options.seconds)] * options.threads)
            rate = sum(len(times) / sum(times) for times in many)
            for name, a, b in (
                    ("first prediction, ms", 1e3 * ours["first_seconds"], 1e3 * first_prediction(network)),
                    ("latency, ms", 1e3 * ours["latency_seconds"], 1e3 * theirs),
                    ("pictures a second", ours["images_per_second"], rate)):
                rows[name][0].append(a)
                rows[name][1].append(b)
            begin = time.perf_counter()
            subprocess.run([options.bin / "renas-predict", options.model, options.picture], check=True,
                           stdout=subprocess.DEVNULL)
            starts.append(time.perf_counter() - begin)
    print(f"{'':24}{'RENAS':>12}{'ONNX Runtime':>14}{'ratio':>8}")
    for name, (a, b) in rows.items():
        ratio = statistics.median(x / y for x, y in zip(a, b))
        print(f"{name:24}{statistics.median(a):12.2f}{statistics.median(b):14.2f}{ratio:8.2f}")
    print(f"renas-predict, from its start to its end with one picture: {1e3 * statistics.median(starts):.0f} ms")


if __name__ == "__main__":
    main()
