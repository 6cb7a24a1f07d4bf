#!/bin/bash
# Published cells under one short schedule on CIFAR-10, and random cells of the same cost.
#
#   jobs/short_schedules.sh DATA.h5 FOLDER [options of renas-train ...]
#
# Trains the (2, 24) networks of RENASNet, NASNet-A, PNASNet-5, AmoebaNet-A, ENAS and DARTS-V2, and of
# three random cells, by the recipe cifar-short (12 epochs of cosine on all images) with the seeds in
# SEEDS, then RENASNet for 36 epochs. Prints the table of what is there. It may be stopped at any
# moment; the same command goes on, and what is finished stays. Options behind FOLDER apply to all,
# for example: --precision bf16 --threads 2; EPOCHS and LONG_EPOCHS change the schedules' lengths,
# NETWORKS which are trained and in what order, for example: NETWORKS="random-1 nasnet-a".
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: jobs/short_schedules.sh DATA.h5 FOLDER [options of renas-train ...]" >&2
  exit 2
fi
data=$1
folder=$2
shift 2
seeds=${SEEDS:-"0 1"}
epochs=${EPOCHS:-12}
long_epochs=${LONG_EPOCHS:-36}

# The programs: RENAS_BIN, or build/bin beside this folder, or PATH.
bin=${RENAS_BIN:-$(dirname "$0")/../build/bin}
[ -x "$bin/renas-train" ] || bin=$(dirname "$(command -v renas-train || true)")
if [ ! -x "$bin/renas-train" ]; then
  echo "renas-train was not found: build it, or set RENAS_BIN to its folder" >&2
  exit 2
fi
mkdir -p "$folder"

# The random cells are the first three of a uniform draw from the paper's space that are within 3 % of
# RENASNet's 130,957,056 mult-adds at (2, 24); they stand here so that everyone trains the same.
names=(${NETWORKS:-renasnet nasnet-a pnasnet-5 amoebanet-a enas darts-v2 random-1 random-2 random-3})
genome_of() {
  case $1 in
    random-1) echo "c-2:max3x3+c-2:avg3x3,c-2:sep5x5+c-2:sep7x7,c-1:sep7x7+c-1:max3x3,1:sep7x7+3:avg3x3,c-1:sep3x3+4:sep7x7" ;;
    random-2) echo "c-2:sep7x7+c-1:sep3x3,1:avg3x3+c-1:avg3x3,c-1:sep5x5+c-2:max3x3,c-2:sep5x5+3:sep7x7,1:sep5x5+3:identity" ;;
    random-3) echo "c-1:sep3x3+c-1:sep5x5,1:avg3x3+c-1:sep5x5,2:sep3x3+1:identity,2:sep7x7+2:sep5x5,c-2:sep7x7+4:max3x3" ;;
    *) echo "$1" ;;
  esac
}

# train NAME SEED EPOCHS [options]: a model and its log in FOLDER, unless they are there.
train() {
  local out=$folder/$1-seed$2-epochs$3
  [ -e "$out.done" ] && return 0
  local resume=()
  if [ -e "$out.h5.checkpoint" ] || [ -e "$out.h5" ]; then resume=(--resume); fi
  echo "$(date -Is) $1, seed $2, $3 epochs" >&2
  "$bin/renas-train" --recipe cifar-short --data "$data" --genome "$(genome_of "$1")" --seed "$2" \
    --epochs "$3" --out "$out.h5" ${resume[@]+"${resume[@]}"} "${@:4}" > "$out.txt"
  grep -q '^test accuracy' "$out.txt" || { echo "$data: has no test images" >&2; exit 2; }
  mv "$out.txt" "$out.done"
}

table() {
  echo "network epochs seed test_accuracy"
  for file in "$folder"/*.done; do
    [ -e "$file" ] || continue
    local name
    name=$(basename "$file" .done)
    echo "$name" | sed -E 's/(.*)-seed([0-9]+)-epochs([0-9]+)/\1 \3 \2 /' | tr -d '\n'
    sed -n 's/^test accuracy \([0-9.]*\) %.*/\1/p' "$file"
  done
}

for seed in $seeds; do
  for name in "${names[@]}"; do train "$name" "$seed" "$epochs" "$@"; done
done
train renasnet 0 "$long_epochs" "$@"
table | column -t
