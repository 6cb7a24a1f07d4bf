#!/bin/bash
# Banks of real cells: what children's fitness tells of what their cells are worth. For each seed 24
# random cells, 6 parents among them and 10 children of each with 1 to 5 changes; every way of training
# children; the truth of parents and children by two trainings from scratch. A bank is a text file (its lines are
# described in bin/bench/fitness_bank.h); an interrupted one is gone on with, cell by cell.
#
#   jobs/fitness_bank.sh DATA.h5 OUT [options of renas-bench fitness ...]
#
# SEEDS (1 2), THREADS (1; above that results depend on it), PRECISION (bf16), RENAS_BIN (build/bin).
# Prints what each bank says. CIFAR-10 takes about 3.2 million images of training and 1.3 million of
# scoring a bank.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,12s/^# \?//p' "$0" >&2
  exit 2
fi
data=$1
out=$2
shift 2
mkdir -p "$out"
for seed in ${SEEDS:-1 2}; do
  "${RENAS_BIN:-build/bin}/renas-bench" fitness --data "$data" --bank "$out/bank-$seed.jsonl" --seed "$seed" \
    --threads "${THREADS:-1}" --precision "${PRECISION:-bf16}" \
    --protocol base again two-passes four-passes annealed annealed-two lively frozen anew anew-once "$@"
done
