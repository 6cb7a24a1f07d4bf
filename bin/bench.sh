#!/bin/bash
# make bench: the engine, in turn with PyTorch where python3 has it, its groups against the machine's
# limit, the loader, and the strategies on synthetic objectives. Every figure is of this run on this
# machine; compare ratios, not single times.
#
#   bin/bench.sh [FOLDER OF THE PROGRAMS]
set -euo pipefail
bin=${1:-build/bin}
here=$(cd "$(dirname "$0")" && pwd)
threads=${THREADS:-$(nproc)}
python=${PYTHON:-/usr/bin/python3}

best=0
peer=0
for round in 1 2 3; do
  mine=$("$bin/renas-bench" train --threads "$threads" --json)
  echo "round $round: $mine"
  best=$(echo "$mine $best" | sed 's/[{}",]/ /g' |
    awk '{for (i = 1; i < NF; ++i) if ($i == "images_per_second:") v = $(i + 1); print (v > $NF) ? v : $NF}')
  if "$python" -c 'import torch' 2> /dev/null; then
    theirs=$("$python" "$here/bench_torch.py" --threads "$threads" --json)
    echo "PyTorch: $theirs"
    peer=$(echo "$theirs $peer" | sed 's/[{}",]/ /g' |
      awk '{v = $NF; for (i = 1; i < NF; ++i) if ($i ~ /images_per_second/ && $(i + 1) > v) v = $(i + 1); print v}')
  fi
done
[ "$peer" = 0 ] || awk "BEGIN {printf \"images/s: %.1f, PyTorch at its best %.1f, ratio %.2f\n\", $best, $peer, $best / $peer}"
"$bin/renas-bench" kernels --threads "$threads"
"$bin/renas-bench" data
"$bin/renas-bench" search --space renas --objective synthetic --seeds 5
