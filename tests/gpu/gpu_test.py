#!/usr/bin/env python3
"""Tests and measures the cuDNN backend on this machine's GPU: what `make gpu-test` runs.

Needs an NVIDIA GPU with its driver, and cuDNN 9 (the library, or Python's package nvidia-cudnn-cu12 or
-cu13). It takes the programs of --bin; else those of a bundle (`make gpu-bundle`) where they start;
else it builds them, for which nvcc and CMake must be there. PyTorch, where it is, is measured beside.

First comes whether it is right, then how fast it is. Each step has a time limit, and each result is
printed and written to OUT/results.json as soon as it is there, so that a run that is cut off loses only
what was running: the same command again leaves out what it found to be right. At the end, OUT/RESULTS.md has the table for tests/gpu/RESULTS.md.

Example: python3 tests/gpu/gpu_test.py --part right --out gpu-results
Exit codes: 0 all that was run is right, 1 something is wrong, 2 no GPU or nothing to run.
"""
import argparse
import datetime
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ("test-conformance", "test-cudnn-plans", "renas-bench", "gpu-ceilings")


class Journal:
    """The rows of the table: printed, and on disk, as soon as they are known."""

    def __init__(self, folder):
        self.folder = folder
        self.facts = {}
        self.rows = []
        self.begun = False
        os.makedirs(folder, exist_ok=True)
        try:
            with open(os.path.join(folder, "results.json"), encoding="utf-8") as earlier:
                self.earlier = json.load(earlier)
        except (OSError, ValueError):
            self.earlier = {}

    def go_on(self):
        """Begins to write, and keeps what an earlier run found of which all is the same but time and clock."""
        before = self.earlier.get("facts", {})
        same = all(before.get(name) == value for name, value in self.facts.items() if not name.startswith(("date", "clock")))
        if same and re.fullmatch("[0-9a-f]{40}", self.facts["commit"]):
            self.rows = self.earlier["rows"]
        self.begun = True
        self.write()

    def has(self, what):
        """Whether an earlier run found `what` to be right, which is then said."""
        for r in self.rows:
            if r["what"] == what and not r["result"].startswith(("WRONG", "NOT DONE")):
                print(f"{what:<52} {r['result']:<44} found before", flush=True)
                return True
        return False

    def fact(self, name, value):
        self.facts[name] = value
        print(f"{name}: {value}", flush=True)
        self.write()

    def row(self, what, result, seconds, figures=None):
        self.rows = [r for r in self.rows if r["what"] != what]
        self.rows.append({"what": what, "result": result, "seconds": round(seconds, 1),
                          "figures": figures or {}})
        print(f"{what:<52} {result:<44} {seconds:7.1f} s", flush=True)
        self.write()

    def write(self):
        if not self.begun:
            return
        path = os.path.join(self.folder, "results.json")
        with open(path + ".new", "w", encoding="utf-8") as out:
            json.dump({"facts": self.facts, "rows": self.rows}, out, indent=1)
        os.replace(path + ".new", path)
        with open(os.path.join(self.folder, "RESULTS.md"), "w", encoding="utf-8") as out:
            out.write(f"## {self.facts.get('GPU', 'no GPU')}, {self.facts.get('date')}\n\n")
            out.writelines(f"- {name}: {value}\n" for name, value in self.facts.items())
            out.write("\n| what | result | seconds |\n| --- | --- | ---: |\n")
            out.writelines(f"| {r['what']} | {r['result']} | {r['seconds']} |\n" for r in self.rows)


def output_of(command, **more):
    """What a short command prints; empty where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True,
                              **more).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def cudnn_folder():
    """Python's package of cuDNN, which has include/ and lib/libcudnn.so.9."""
    found = output_of([sys.executable, "-c",
                       "import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0])"])
    return found if os.path.isdir(os.path.join(found, "lib")) and found else ""


class Machine:
    """The programs, and how they are run."""

    def __init__(self, options):
        self.environment = dict(os.environ)
        folder = os.environ.get("CUDNN_ROOT") or cudnn_folder()
        libraries = [os.path.join(folder, "lib")] if folder else []
        bundle = os.path.join(TOP, "gpu-bundle")
        libraries += glob.glob(os.path.join(bundle, "outside", "lib", "*-linux-gnu"))
        self.environment["LD_LIBRARY_PATH"] = ":".join(
            libraries + [p for p in [os.environ.get("LD_LIBRARY_PATH")] if p])
        self.bundle = bundle
        self.cudnn = folder
        self.options = options
        self.bin = ""

    def starts(self, folder):
        """Whether all programs are in the folder and start."""
        if not all(os.access(os.path.join(folder, p), os.X_OK) for p in PROGRAMS[:3]):
            return False
        run = subprocess.run([os.path.join(folder, "renas-bench"), "--help"], env=self.environment,
                             capture_output=True, check=False)
        return run.returncode == 0

    def find_programs(self):
        if self.options.bin:
            if not self.starts(self.options.bin):
                raise SystemExit(f"gpu-test: {self.options.bin}: expected {', '.join(PROGRAMS)} that start")
            self.bin = self.options.bin
            return "given"
        if self.starts(os.path.join(self.bundle, "bin")):
            self.bin = os.path.join(self.bundle, "bin")
            return "of the bundle"
        if not shutil.which("nvcc") and not os.path.exists("/usr/local/cuda/bin/nvcc"):
            print("gpu-test: there are no programs that start here (make gpu-bundle), and no nvcc to build them",
                  file=sys.stderr)
            raise SystemExit(2)
        return self.build()

    def build(self):
        folder = self.options.build
        configure = ["cmake", "-S", TOP, "-B", folder, "-DRENAS_CUDA=ON",
                     *(f"-DRENAS_WITH_{part}=OFF" for part in ("HDF5", "MPI", "IMAGES", "ONEDNN", "NCCL"))]
        capability = output_of(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "--id=0"])
        if re.fullmatch(r"\d+\.\d", capability):
            configure.append(f"-DCMAKE_CUDA_ARCHITECTURES={capability.replace('.', '')}")
        if os.path.exists("/usr/local/cuda/bin/nvcc") and not shutil.which("nvcc"):
            configure.append("-DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc")
        if self.cudnn:
            configure.append(f"-DCUDNN_ROOT={self.cudnn}")
        outside = os.path.join(self.bundle, "outside")
        for config in glob.glob(os.path.join(outside, "**", "*onfig.cmake"), recursive=True):
            name = re.sub(r"(-config|Config)\.cmake$", "", os.path.basename(config))
            configure.append(f"-D{name}_DIR={os.path.dirname(config)}")
        if os.path.isdir(outside):
            configure.append(f"-DCMAKE_PREFIX_PATH={outside}")
        subprocess.run(configure, check=True)
        subprocess.run(["cmake", "--build", folder, "--parallel", str(os.cpu_count()), "--target", *PROGRAMS],
                       check=True)
        self.bin = os.path.join(folder, "bin")
        return "built here"

    def run(self, program, arguments, limit, **environment):
        """Runs a program; returns (exit code or None where the time is up, output, seconds)."""
        begin = time.monotonic()
        command = [program if os.path.isabs(program) else os.path.join(self.bin, program), *arguments]
        try:
            done = subprocess.run(command, env={**self.environment, **environment}, capture_output=True,
                                  text=True, timeout=limit, check=False)
            return done.returncode, done.stdout + done.stderr, time.monotonic() - begin
        except subprocess.TimeoutExpired as cut:
            text = cut.stdout.decode(errors="replace") if cut.stdout else ""
            return None, text, time.monotonic() - begin


def describe(machine, journal):
    journal.fact("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"))
    query = "name,driver_version,memory.total,clocks.sm,clocks.max.sm"
    gpu = output_of(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0"]).split(", ")
    journal.fact("GPU", gpu[0] or "unknown to nvidia-smi")
    journal.fact("driver, memory", ", ".join(gpu[1:3]) or "unknown")
    journal.fact("clock now and at most", ", ".join(gpu[3:]) or "unknown")
    journal.fact("host", f"{platform.machine()}, {os.cpu_count()} cores, glibc {platform.libc_ver()[1]}")
    commit = os.path.join(machine.bundle, "commit")
    if os.path.exists(commit):
        with open(commit, encoding="ascii") as text:
            journal.fact("commit", text.read().strip())
    else:
        changed = " with changes" if output_of(["git", "-C", TOP, "status", "--porcelain"]) else ""
        journal.fact("commit", (output_of(["git", "-C", TOP, "rev-parse", "HEAD"]) or "unknown") + changed)
    options = machine.options
    journal.fact("sizes", f"N = {options.cells}, F = {options.filters}, batch {options.batch}, {options.steps} steps, "
                 f"{options.children} children")
    journal.fact("programs", machine.find_programs())
    code, text, _ = machine.run("renas-bench", ["train", "--backend", machine.options.backend, "--cells", "1",
                                               "--filters", "8", "--batch", "2", "--steps", "1"], 120)
    if code != 0:
        print(f"gpu-test: backend {machine.options.backend} cannot be used here: {text.strip()[-500:]}",
              file=sys.stderr)
        raise SystemExit(2)
    journal.fact("backend", text.splitlines()[0])
    journal.go_on()


def check_test(machine, journal, what, filters, limit, **environment):
    """Runs test cases of test-conformance. Returns whether all passed."""
    if journal.has(what):
        return True
    code, text, seconds = machine.run(
        "test-conformance", [f"--run_test={filters}", "--report_level=short", "--color_output=no"], limit,
        RENAS_REQUIRE_BACKENDS="cudnn,reference", **environment)
    passed = re.search(r"(\d+) test cases? out of \d+ passed", text)
    with open(os.path.join(journal.folder, re.sub(r"\W+", "-", what) + ".log"), "w", encoding="utf-8") as log:
        log.write(text)
    if code is None:
        result = f"NOT DONE within {limit} s"
    elif code == 0 and passed:
        result = f"all {passed.group(1)} cases"
    else:
        result = f"WRONG: exit code {code}"
        print("\n".join(text.splitlines()[-15:]))
    journal.row(what, result, seconds)
    return code == 0


def is_it_right(machine, journal):
    right = True
    if os.access(os.path.join(machine.bin, "gpu-ceilings"), os.X_OK):
        code, text, seconds = machine.run("gpu-ceilings", [], 60)
        right &= code == 0
        figures = json.loads(text) if code == 0 else {}
        journal.row("a product on tensor cores, against loops", "exact" if code == 0 else f"WRONG: {text[-200:]}",
                    seconds, figures)
    code, text, seconds = machine.run("test-cudnn-plans",
                                      ["--run_test=plans_of_the_real_cudnn", "--color_output=no"], 60)
    right &= code == 0
    journal.row("cuDNN's plans", "all" if code == 0 else f"WRONG: {text[-200:]}", seconds)
    right &= check_test(machine, journal, "backend cudnn is there", "every_backend/required*", 60)
    right &= check_test(machine, journal, "every network, float32", "conformance/cudnn/*", 180)
    right &= check_test(machine, journal, "every network, bfloat16", "conformance/cudnn_bf16/*", 180)
    # The slow parts of these are the reference's.
    right &= check_test(machine, journal, "steps, metrics, equal bits, memory, errors", "every_backend/*", 400)
    right &= check_test(machine, journal, "steps beside the reference", "check_backend/*", 60)
    sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    for tool in ("memcheck", "racecheck", "initcheck") if os.access(sanitizer, os.X_OK) else ():
        what = f"compute-sanitizer {tool}, one network"
        if journal.has(what):
            continue
        code, text, seconds = machine.run(
            sanitizer, ["--tool", tool, "--error-exitcode", "9", os.path.join(machine.bin, "test-conformance"),
                        "--run_test=check_backend/every*"], 180, RENAS_REQUIRE_BACKENDS="cudnn,reference")
        result = {0: "nothing found", None: "NOT DONE within 180 s"}.get(code, f"WRONG: exit code {code}")
        right &= code in (0, None)
        with open(os.path.join(journal.folder, f"sanitizer-{tool}.log"), "w", encoding="utf-8") as log:
            log.write(text)
        journal.row(what, result, seconds)
    return right


def last_json(text):
    begin = text.find("{")
    return json.loads(text[begin:]) if begin >= 0 else {}


def ours(machine, arguments, limit=120):
    code, text, seconds = machine.run("renas-bench", ["train", "--backend", machine.options.backend, "--json",
                                                     *arguments], limit)
    if code is None:
        return {"error": f"NOT DONE within {limit} s"}, seconds
    return (last_json(text) if code == 0 else {"error": text[-300:]}), seconds


def failure(result):
    error = result.get("error", "no figure")
    return error if error.startswith("NOT DONE") else f"WRONG: {error}"


TORCH_WAYS = (
    ("float32, NCHW", ["--layout", "nchw"]),
    ("float32, channels last", []),
    ("TF32, channels last", ["--tf32"]),
    ("bf16, channels last", ["--precision", "bf16"]),
    ("float32, CUDA graph", ["--graph"]),
    ("TF32, CUDA graph", ["--graph", "--tf32"]),
    ("bf16, CUDA graph", ["--graph", "--precision", "bf16"]),
    ("TF32, compiled, CUDA graph", ["--compile", "--graph", "--tf32"]),
    ("bf16, compiled, CUDA graph", ["--compile", "--graph", "--precision", "bf16"]),
)


class DeviceMemory:
    """What nvidia-smi says is in use on the first GPU, twice a second while something runs."""

    def __init__(self):
        self.seen = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.ended.wait(0.5):
            used = output_of(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"])
            if used.isdigit():
                self.seen.append(int(used))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def growth(self):
        """From the second quarter to the last: in the first, the process starts."""
        quarter = len(self.seen) // 4
        if quarter == 0:
            return "of the GPU's not known"
        more = max(self.seen[3 * quarter:]) - max(self.seen[quarter:2 * quarter])
        return f"{more} MiB of the GPU's more"


def how_fast(machine, journal):
    size = ["--cells", str(machine.options.cells), "--filters", str(machine.options.filters),
            "--batch", str(machine.options.batch)]
    steps = ["--steps", str(machine.options.steps)]
    name = f"({machine.options.cells}, {machine.options.filters}), batch {machine.options.batch}"
    best = {}
    torch = bool(output_of([sys.executable, "-c", "import torch; assert torch.cuda.is_available(); print(1)"]))
    ways = list(TORCH_WAYS) if torch else []
    if not torch:
        journal.row("PyTorch beside", "not here, or it finds no GPU", 0)
    for turn in range(1, machine.options.rounds + 1):
        for precision in ("f32", "bf16"):
            result, seconds = ours(machine, [*size, *steps, "--precision", precision])
            rate = result.get("images_per_second", 0)
            best[precision] = max(best.get(precision, 0), rate)
            journal.row(f"{name}, {precision}, round {turn}",
                        f"{rate:,.0f} images/s" if rate else failure(result), seconds, result)
        for way, arguments in list(ways):
            begin = time.monotonic()
            compiled = "--compile" in arguments
            code, text, seconds = machine.run(
                sys.executable, [os.path.join(TOP, "bin", "bench", "torch_peer.py"), "--device", "cuda", "--warmup",
                                 "5", *steps, *size, *arguments], 150 if compiled else 60)
            if code != 0:
                ways.remove((way, arguments))
                journal.row(f"PyTorch, {way}, round {turn}", "not done", time.monotonic() - begin,
                            {"output": text[-500:]})
                continue
            result = last_json(text)
            rate = result["images_per_second"]
            kind = "torch bf16" if "bf16" in arguments else "torch f32"
            best[kind] = max(best.get(kind, 0), rate)
            journal.row(f"PyTorch {result['torch']}, {way}, round {turn}", f"{rate:,.0f} images/s", seconds, result)
    for precision in ("f32", "bf16"):  # PyTorch's TF32 stands with its float32
        if best.get(f"torch {precision}") and best.get(precision):
            journal.row(f"{precision} to PyTorch's best of {precision}",
                        f"{best[precision] / best[f'torch {precision}']:.2f}", 0)
    with DeviceMemory() as memory:
        result, seconds = ours(machine, [*size, "--precision", "bf16", "--steps", "16", "--children",
                                         str(machine.options.children)], 120 + machine.options.children)
    many = result.get("many", {})
    journal.row(f"{machine.options.children} children, one after the other",
                f"{many['start_seconds_median']:.3f} s each to the first step, {many['resident_growth_bytes'] / 1e6:.1f}"
                f" MB of host memory more, {memory.growth()}" if many else failure(result),
                seconds, {**result, "device_memory_mib": memory.seen})
    result, seconds = ours(machine, [*size, *steps, "--precision", "bf16", "--no-graph"])
    rate = result.get("images_per_second", 0)
    journal.row("bf16, kernels launched one by one", f"{rate:,.0f} images/s" if rate else failure(result),
                seconds, result)
    for streams in (1, 2, 4, 8):
        result, seconds = ours(machine, [*size, *steps, "--precision", "bf16", "--streams", str(streams)])
        rate = result.get("images_per_second", 0)
        journal.row(f"bf16, {streams} stream{'s' * (streams > 1)}",
                    f"{rate:,.0f} images/s" if rate else failure(result), seconds, result)
    for ranks in range(1, machine.options.together + 1):
        together(machine, journal, ranks, [*size, *steps, "--precision", "bf16"])


def together(machine, journal, ranks, arguments):
    """Several processes on one GPU at the same time, without MPS unless it runs already."""
    begin = time.monotonic()
    command = [os.path.join(machine.bin, "renas-bench"), "train", "--backend", machine.options.backend, "--json",
               *arguments]
    running = [subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, text=True)
               for _ in range(ranks)]
    rates = []
    for process in running:
        try:
            text, _ = process.communicate(timeout=120)
            rates.append(last_json(text).get("images_per_second", 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    journal.row(f"{ranks} processes on one GPU, bf16", f"{sum(rates):,.0f} images/s in all",
                time.monotonic() - begin, {"rates": rates})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("right", "fast", "all"), default="all")
    parser.add_argument("--out", default="gpu-results", help="folder for results.json, RESULTS.md and logs")
    parser.add_argument("--bin", default="", help="folder of the programs, if they are built")
    parser.add_argument("--build", default=os.path.join(TOP, "build-gpu-test"), help="where to build otherwise")
    parser.add_argument("--backend", default="cudnn")
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--filters", type=int, default=24)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=320, help="steps of a timing")
    parser.add_argument("--rounds", type=int, default=3, help="timings of each, in turn with PyTorch")
    parser.add_argument("--children", type=int, default=300)
    parser.add_argument("--together", type=int, default=4, help="up to how many processes on one GPU")
    options = parser.parse_args()
    journal = Journal(options.out)
    machine = Machine(options)
    describe(machine, journal)
    right = True
    if options.part in ("right", "all"):
        right = is_it_right(machine, journal)
    if options.part in ("fast", "all"):
        how_fast(machine, journal)
    print(f"\nwritten: {options.out}/results.json and {options.out}/RESULTS.md")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
