#!/bin/bash
# make bench: the engine, in turn with PyTorch where PYTHON has it, its groups against the machine's
# limit, the loader, and the strategies on synthetic objectives. PyTorch is tried eager and compiled, in
# float32 and bf16, and compared by the best that works. Every figure is of this run on this machine;
# compare ratios, not single times.
#
#   [PYTHON=python3] [THREADS=N] bin/bench/run.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail
bin=${1:-build/bin}
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-$(nproc)}
python=${PYTHON:-python3}

# The number of a key in JSON, one key a line or all in one.
field() { grep -o "\"$1\": [0-9.e+-]*" | head -1 | cut -d' ' -f2; }
greater() { awk "BEGIN {exit !($1 > $2)}"; }
larger() { awk "BEGIN {print ($1 > $2) ? $1 : $2}"; }

# Ways to run PyTorch, as options of torch_peer.py; one that fails is not tried again.
ways=("--layout channels_last" "--layout nchw" "--layout channels_last --precision bf16"
  "--layout channels_last --compile" "--layout channels_last --compile --precision bf16")
"$python" -c 'import torch' 2> /dev/null || ways=()

declare -A best=([f32]=0 [bf16]=0)
peer=0
peer_way=
for round in 1 2 3; do
  for precision in f32 bf16; do
    mine=$("$bin/renas-bench" train --threads "$threads" --precision $precision --json)
    rate=$(echo "$mine" | field images_per_second)
    echo "round $round, $precision: $rate images/s," \
      "$(echo "$mine" | field limit_fraction) of the limit," \
      "$(echo "$mine" | field images_per_processor_second) images a processor second," \
      "$(echo "$mine" | field peak_bytes) bytes"
    best[$precision]=$(larger "$rate" "${best[$precision]}")
  done
  for i in "${!ways[@]}"; do
    # shellcheck disable=SC2086  # words are meant
    if ! theirs=$("$python" "$here/torch_peer.py" --threads "$threads" ${ways[i]} 2> /dev/null); then
      echo "PyTorch ${ways[i]}: does not work here"
      unset "ways[i]"
      continue
    fi
    echo "round $round: PyTorch $theirs"
    rate=$(echo "$theirs" | field images_per_second)
    if greater "$rate" "$peer"; then
      peer=$rate
      peer_way=${ways[i]}
    fi
  done
done
for precision in f32 bf16; do
  [ "$peer" = 0 ] ||
    awk "BEGIN {printf \"images/s, %s: %.1f, PyTorch at its best (%s) %.1f, ratio %.2f\n\", \"$precision\", ${best[$precision]}, \"$peer_way\", $peer, ${best[$precision]} / $peer}"
done
for precision in f32 bf16; do
  "$bin/renas-bench" kernels --threads "$threads" --precision $precision
done
"$bin/renas-bench" data
"$bin/renas-bench" search --space renas --objective synthetic --seeds 5
