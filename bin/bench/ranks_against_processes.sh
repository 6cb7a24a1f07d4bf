#!/bin/sh
# What coordination costs: children a second of two ranks of one search, against those of two searches of
# one rank each that run at the same time. Each process has a core of its own.
#
#   bin/bench/ranks_against_processes.sh PROGRAMS DATA.h5 [ROUNDS [CHILDREN]]
#
# All cells have one operator, so that children cost the same. The two are measured in turn, in a folder
# that is made in TMPDIR and removed. Wants two cores that nothing else uses.
set -eu
[ $# -ge 2 ] || { sed -n '2,9p' "$0" >&2; exit 2; }
programs=$1 data=$2 rounds=${3:-5} children=${4:-40}
work=$(mktemp -d "${TMPDIR:-/tmp}/renas-ranks-XXXXXX")
trap 'rm -rf "$work"' EXIT
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

search() { # RUN CHILDREN SEED: the command, without its launcher
  echo "$programs/renas-search --data $data --run $work/$1 --strategy random --operators sep3x3 --population 4 --sample 2 \
    --children $2 --seed $3 --cells 1 --filters 4 --batch 64 --subset 1000 --validation 250 --initial-epochs 1 \
    --retrain-epochs 1 --retrain-subset 100 --threads 1 --quiet"
}
# Results a second between the first and the last one. What they take in the retraining does not count.
rate() { # RUN
  sed 's/.*"elapsed":\([0-9.e+-]*\),.*/\1/' "$work/$1/history.jsonl" |
    awk 'NR == 1 { first = $1 } { last = $1 } END { print (NR - 1) / (last - first) }'
}

echo "round  two ranks  two processes  ratio   (children a second; load $(cut -d' ' -f1-3 /proc/loadavg))"
for round in $(seq "$rounds"); do
  mpirun -np 2 --bind-to core $(search together "$children" "$round") > /dev/null
  taskset -c 0 $(search alone1 $((children / 2)) "$round") > /dev/null &
  taskset -c 1 $(search alone2 $((children / 2)) $((round + 1000))) > /dev/null
  wait
  awk -v round="$round" -v a="$(rate together)" -v b="$(rate alone1)" -v c="$(rate alone2)" \
    'BEGIN { printf "%5d  %9.3f  %13.3f  %.3f\n", round, a, b + c, a / (b + c) }' | tee -a "$work/ratios"
  rm -rf "$work/together" "$work/alone1" "$work/alone2"
done
sort -k4 -n "$work/ratios" | awk '{ r[NR] = $4 } END { print "median ratio " r[int((NR + 1) / 2)] }'
