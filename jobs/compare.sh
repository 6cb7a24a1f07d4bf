#!/bin/bash
# Compares strategies on a real data set: several seeds, the cells that each search chooses scored
# by the same few epochs from scratch. Prints, per strategy, the mean over seeds.
#
#   jobs/compare.sh DATA.h5 OUT [options of renas-search ...]     all runs, one after another
#   sbatch --array=0-14 jobs/compare.sbatch DATA.h5 OUT [...]     a run a task of the array
#   jobs/compare.sh --report OUT                                  the table of what is there
#   jobs/compare.sh --results OUT >> FILE                         a line of JSON for each run; --report
#                                                                 takes such a file as well
#
# A winner is one network trained once, which scatters. Its cell is worth what it gives when it is trained
# anew: the winners are a list for renas-train, whose folders the table then takes, in any number:
#
#   jobs/compare.sh --winners OUT|FILE > winners.txt
#   renas-train --list winners.txt --data DATA.h5 --out anew-101 --seed 101 [the options of the retraining]
#   jobs/compare.sh --report OUT|FILE anew-101 [...]              and --results, which keeps it in its lines
#
# STRATEGIES (renas evolution random; renas:paper is renas by the recipe paper), SEEDS (1 2 3 4 5),
# RANKS (2), RENAS_BIN (build/bin), PASSES: of each search over its training images, from which --children
# then follows, so that all take equally many; a run that is there is resumed, one that is finished is left.
set -euo pipefail
strategies=(${STRATEGIES:-renas evolution random})
seeds=(${SEEDS:-1 2 3 4 5})
bin=${RENAS_BIN:-build/bin}

# needs PROGRAM: says where it was looked for, if it is not there.
needs() {
  [ -x "$bin/$1" ] && return
  echo "$bin/$1 was not found: build it, or set RENAS_BIN to its folder" >&2
  exit 2
}

# runs_in OUT: a line of JSON for each finished run of the strategies there.
runs_in() {
  for strategy in "${strategies[@]}"; do
    for run in "$1/${strategy/:/-}"-[0-9]*; do
      [ -e "$run/result.json" ] || continue
      needs renas-inspect
      "$bin/renas-inspect" run "$run" --json | python3 -c '
import json, statistics, sys
strategy, seed = sys.argv[1:]
result = json.load(sys.stdin)["result"]
members = [n for n in result["networks"] if not n["name"].startswith("control")]
winner = next(n for n in members if n["name"] == result["winner"])
print(json.dumps({
    "strategy": strategy, "seed": int(seed),
    "population": statistics.mean(n["validation_accuracy"] for n in members),
    "best": winner["validation_accuracy"], "test": winner["test_accuracy"],
    "members": [[n["genome"], n["validation_accuracy"]] for n in members]}))
' "$strategy" "${run##*-}"
    done
  done
}

# results OUT|FILE [FOLDER ...]: the lines of its runs, with what their winners have on test trained anew in
# the folders ("anew"), where they were.
results() {
  if [ -d "$1" ]; then runs_in "$1"; else cat "$1"; fi | python3 -c '
import json, sys
anew = {}
for folder in sys.argv[1:]:
    for line in open(folder + "/results.jsonl"):
        cell = json.loads(line)
        if cell["status"] == "ok": anew.setdefault(cell["genome"], {})[folder] = cell["test_accuracy"]
for line in sys.stdin:
    run = json.loads(line)
    if run.get("members"):
        tests = anew.get(max(run["members"], key=lambda member: member[1])[0], {})
        if tests: run["anew"] = list(tests.values())
    print(json.dumps(run))
' "${@:2}"
}

# winners OUT|FILE: the cell of each run's winner, each once.
winners() {
  results "$1" | python3 -c '
import json, sys
cells = {}
for line in sys.stdin:
    run = json.loads(line)
    if run.get("members"): cells[max(run["members"], key=lambda member: member[1])[0]] = True
print("\n".join(cells))
'
}

# report OUT|FILE [FOLDER ...]: the table, and the differences from the first strategy over the seeds of both.
report() {
  # Of a file all strategies, unless some are named.
  local named=(${STRATEGIES:-})
  [ -d "$1" ] && named=("${strategies[@]}")
  results "$@" | python3 -c '
import json, statistics, sys
runs = {}
for line in sys.stdin:
    run = json.loads(line)
    if run.get("anew"): run["anew"] = statistics.mean(run["anew"])
    runs[run["strategy"], run["seed"]] = run
asked = sys.argv[1:] or sorted({of for of, _ in runs}, key=lambda of: (of != "renas", of))
strategies = [s for s in asked if any(s == of for of, _ in runs)]
def cell(values):
    if not values: return "-"
    std = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{100 * statistics.mean(values):.2f} +- {100 * std:.2f}"
def of(strategy, what):
    return {seed: run[what] for (name, seed), run in runs.items()
            if name == strategy and run.get(what) is not None}
heads = {"population": "chosen, D_val", "best": "best, D_val", "test": "test"}
if any(run.get("anew") for run in runs.values()): heads["anew"] = "anew, test"
print("{:<20} {:>5}".format("strategy", "runs") + "".join(f" {head:>18}" for head in heads.values()))
for s in strategies:
    count = sum(name == s for name, _ in runs)
    columns = "".join(f" {cell(list(of(s, what).values())):>18}" for what in heads)
    print(f"{s:<20} {count:>5}" + columns)
# 97.5 % quantiles of t for 1, 2, ... degrees of freedom; beyond them nearly those of the normal
student = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14,
           2.13, 2.12, 2.11, 2.10, 2.09, 2.09]
for s, what in [(s, what) for what in ("population", "test", "anew") for s in strategies[1:]]:
    mine, other = of(strategies[0], what), of(s, what)
    gains = [100 * (mine[seed] - other[seed]) for seed in sorted(mine.keys() & other.keys())]
    if len(gains) < 2: continue
    t = student[len(gains) - 2] if len(gains) - 2 < len(student) else 1.96 + 2.5 / len(gains)
    mean, half = statistics.mean(gains), t * statistics.stdev(gains) / len(gains) ** 0.5
    name = {"population": "chosen cells", "test": "test accuracy",
            "anew": "test accuracy, winners trained anew,"}[what]
    print(f"{name} of {strategies[0]} over {s}: {mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}] "
          f"in {len(gains)} seeds")
' ${named[@]+"${named[@]}"}  # which may be empty, an error to bash before 4.4
}

if [ "${1:-}" = --results ]; then
  : "${2:?usage: jobs/compare.sh --results OUT or FILE [FOLDER of winners trained anew ...]}"
  results "${@:2}"
  exit
fi
if [ "${1:-}" = --winners ]; then
  winners "${2:?usage: jobs/compare.sh --winners OUT or FILE}"
  exit
fi
if [ "${1:-}" = --report ]; then
  : "${2:?usage: jobs/compare.sh --report OUT or FILE [FOLDER of winners trained anew ...]}"
  report "${@:2}"
  exit
fi
if [ $# -lt 2 ]; then
  sed -n '2,22s/^# \?//p' "$0" >&2
  exit 2
fi
data=$1
out=$2
shift 2
needs renas-search
mkdir -p "$out"
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# More ranks than cores, to OpenMPI 4 and 5; MPICH allows it anyway.
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe

given=("$@")
if [ -n "${CHILDREN_ANEW:-}" ]; then
  echo "CHILDREN_ANEW is no more: PASSES says how many passes each search makes" >&2
  exit 2
fi
if [ -n "${PASSES:-}" ]; then
  # What children_of() could not see would make the numbers unequal in silence.
  for argument in ${given[@]+"${given[@]}"}; do
    case $argument in --children | --children=* | --recipe | --recipe=* | --config | --config=*)
      echo "PASSES=$PASSES sets --children by the other options: expected no $argument besides;" \
        "recipes are named in STRATEGIES, as in renas:paper" >&2
      exit 2
    esac
  done
fi

# value_of OPTION RECIPE DEFAULT: of an option as given last, or in the recipe, or by default.
value_of() {
  local value=$3 a
  if [ -n "$2" ]; then
    local recipe=$bin/../share/renas/recipes/renas-search/$2.toml
    [ -r "$recipe" ] || { echo "recipe $2: there is no $recipe" >&2; return 2; }
    value=$(sed -n "s/^$1 *= *//p" "$recipe")
    value=${value:-$3}
  fi
  for ((a = 0; a < ${#given[@]}; ++a)); do
    case ${given[a]} in
      "--$1") if [ "$1" = inherit ]; then value=true; else value=${given[a + 1]:-}; fi ;;
      "--$1="*) value=${given[a]#*=} ;;
    esac
  done
  echo "$value"
}

# children_of STRATEGY[:RECIPE]: how many make PASSES passes.
children_of() {
  local recipe= population initial child inherits children
  [[ $1 == *:* ]] && recipe=${1#*:}
  population=$(value_of population "$recipe" 20) || return
  initial=$(value_of initial-epochs "$recipe" 1)
  child=$(value_of child-epochs "$recipe" 1)
  inherits=$(value_of inherit "$recipe" false)
  case $1 in random* | reinforce*) inherits=false ;; esac
  if [ "$inherits" = true ]; then
    children=$(((PASSES - population * initial) / child))
  else
    children=$((PASSES / initial - population))
  fi
  if ((children < 1)); then
    echo "PASSES=$PASSES: $1 takes $((population * initial)) for its first $population cells; expected more" >&2
    return 2
  fi
  echo "$children"
}

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
    if [ -n "${PASSES:-}" ]; then
      children=$(children_of "$strategy")
      arguments+=(--children "$children")
    fi
  fi
  echo "$(date -Is) $strategy, seed $seed"
  mpirun -np "${RANKS:-2}" "$bin/renas-search" "${arguments[@]}" --quiet
done
report "$out"
