#!/bin/bash
# Compares strategies on a real data set: several seeds, final populations scored by the same few
# epochs from scratch. Prints, per strategy, the mean over seeds. `random` and `reinforce` train every
# candidate from scratch, --initial-epochs passes where a child takes --child-epochs: CHILDREN_ANEW
# gives them another number of children, so that all take equal numbers of training passes.
#
#   jobs/compare.sh DATA.h5 OUT [options of renas-search ...]     all runs, one after another
#   sbatch --array=0-14 jobs/compare.sbatch DATA.h5 OUT [...]     a run a task of the array
#   jobs/compare.sh --report OUT                                  the table of what is there
#
# STRATEGIES (renas evolution random; renas:paper is renas by the recipe paper), SEEDS (1 2 3 4 5),
# RANKS (2), RENAS_BIN (build/bin), CHILDREN_ANEW (as --children); a run that is there is resumed, one
# that is finished is left.
set -euo pipefail
strategies=(${STRATEGIES:-renas evolution random})
seeds=(${SEEDS:-1 2 3 4 5})
bin=${RENAS_BIN:-build/bin}

report() {
  local out=$1
  printf '%-20s %5s %18s %18s %12s\n' strategy runs 'population, D_val' 'best, D_val' 'test'
  for strategy in "${strategies[@]}"; do
    for run in "$out/${strategy/:/-}"-[0-9]*; do
      [ -e "$run/result.json" ] || continue
      "$bin/renas-inspect" run "$run" --json
    done | python3 -c '
import json, statistics, sys
text, decoder, at = sys.stdin.read(), json.JSONDecoder(), 0
population, best, test = [], [], []
while at < len(text.rstrip()):
    run, at = decoder.raw_decode(text, at)
    at += 1
    members = [n for n in run["result"]["networks"] if not n["name"].startswith("control")]
    population.append(statistics.mean(n["validation_accuracy"] for n in members))
    winner = next(n for n in members if n["name"] == run["result"]["winner"])
    best.append(winner["validation_accuracy"])
    if winner["test_accuracy"] is not None: test.append(winner["test_accuracy"])
def cell(values):
    if not values: return "-"
    std = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{100 * statistics.mean(values):.2f} +- {100 * std:.2f}"
print(f"{sys.argv[1]:<20} {len(best):>5} {cell(population):>18} {cell(best):>18} {cell(test):>12}")
' "$strategy"
  done
}

if [ "${1:-}" = --report ]; then
  report "${2:?usage: jobs/compare.sh --report OUT}"
  exit
fi
if [ $# -lt 2 ]; then
  sed -n '2,15s/^# \?//p' "$0" >&2
  exit 2
fi
data=$1
out=$2
shift 2
mkdir -p "$out"
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores, to OpenMPI 4 and 5; MPICH allows it anyway.
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe

if [ -n "${CHILDREN_ANEW:-}" ] && [[ " $* " != *" --children "* ]]; then
  echo "CHILDREN_ANEW=$CHILDREN_ANEW exchanges the number after --children: expected --children N" >&2
  exit 2
fi

runs=$((${#strategies[@]} * ${#seeds[@]}))
for ((i = ${ONLY:-0}; i < ${ONLY:-runs - 1} + 1; ++i)); do
  # Seeds in the outer loop: after any whole round all strategies have equally many runs.
  strategy=${strategies[i % ${#strategies[@]}]}
  seed=${seeds[i / ${#strategies[@]}]}
  run=$out/${strategy/:/-}-$seed
  [ -e "$run/result.json" ] && continue
  if [ -e "$run/options.toml" ]; then
    arguments=(--data "$data" --run "$run" --resume)
  else
    arguments=(--data "$data" --run "$run" --strategy "${strategy%%:*}" --seed "$seed" "$@")
    case $strategy in *:*) arguments+=(--recipe "${strategy#*:}") ;; esac
    case $strategy in random | reinforce)
      for ((a = 0; a + 1 < ${#arguments[@]}; ++a)); do
        [ "${arguments[a]}" = --children ] && arguments[a + 1]=${CHILDREN_ANEW:-${arguments[a + 1]}}
      done
    esac
  fi
  echo "$(date -Is) $strategy, seed $seed"
  mpirun -np "${RANKS:-2}" "$bin/renas-search" "${arguments[@]}" --quiet
done
report "$out"
