#!/bin/bash
# make bench: the engine, in turn with PyTorch where python3 has it, its groups against the machine's
# limit, the loader, and the strategies on synthetic objectives. Every figure is of this run on this
# machine; compare ratios, not single times.
#
#   bin/bench/run.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail
bin=${1:-build/bin}
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-$(nproc)}
python=${PYTHON:-/usr/bin/python3}

# The number of a key in JSON, one key a line or all in one.
field() { grep -o "\"$1\": [0-9.e+-]*" | head -1 | cut -d' ' -f2; }
larger() { awk "BEGIN {print ($1 > $2) ? $1 : $2}"; }

declare -A best=([f32]=0 [bf16]=0)
peer=0
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
  "$python" -c 'import torch' 2> /dev/null || continue
  for layout in channels_last nchw; do
    theirs=$("$python" "$here/torch_peer.py" --threads "$threads" --layout $layout)
    echo "round $round: PyTorch $theirs"
    peer=$(larger "$(echo "$theirs" | field images_per_second)" "$peer")
  done
done
for precision in f32 bf16; do
  [ "$peer" = 0 ] ||
    awk "BEGIN {printf \"images/s, %s: %.1f, PyTorch at its best %.1f, ratio %.2f\n\", \"$precision\", ${best[$precision]}, $peer, ${best[$precision]} / $peer}"
done
for precision in f32 bf16; do
  "$bin/renas-bench" kernels --threads "$threads" --precision $precision
done
"$bin/renas-bench" data
"$bin/renas-bench" search --space renas --objective synthetic --seeds 5
