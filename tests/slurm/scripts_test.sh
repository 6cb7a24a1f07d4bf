#!/bin/bash
# The job scripts without a scheduler, by launchers and programs that are made up: when a job goes on
# (jobs/life_cycle.sh), and what the demo may remove.
set -euo pipefail
sources=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
ln -s "$sources/jobs" jobs
fail() { echo "scripts_test.sh: $1" >&2; exit 1; }

# must_go_on, by the exit code of the launcher and by what the run has.
expect() {  # yes|no STATUS RUN WHY: and what is said of it
  local found=no said
  if said=$(. jobs/life_cycle.sh && status=$2 told_to_end=${TOLD:-no} && progress_before=${BEFORE:-} &&
    must_go_on "$3" 2>&1); then found=yes; fi
  [ "$found" = "$1" ] || fail "$3 ended with $2: goes on: $found, expected $1: $said"
  [[ $said == *"$4"* ]] || fail "$3 ended with $2: expected '$4', found '$said'"
}
progress() { . jobs/life_cycle.sh && progress_of "$1"; }

# Before there is anything, a signal's code is gone on after, three times, and a mistake is not.
for code in 1 2 127; do expect no $code runs/none "not going on"; done
expect no 0 runs/none "before there was a run"
expect yes 3 runs/none ""
TOLD=yes expect no 143 runs/none "told to end"
for code in 137 139; do
  BEFORE=$(progress runs/none) expect yes $code runs/none "failed: going on"
done
BEFORE=$(progress runs/none) expect no 137 runs/none "three starts in a row"
[ ! -e runs/none.job_failures ] || fail "runs/none: failures of a job that has given up are kept"
mkdir unfinished && touch unfinished/lock  # by a search that died before its options were written
BEFORE=$(progress unfinished) expect yes 137 unfinished "failed: going on"
[ "$(ls unfinished)" = lock ] || fail "unfinished: it is no longer a folder in which a run can begin"

# A model, and the checkpoint of one.
touch model.h5 other.h5.checkpoint
echo 1 > model.h5.job_failures
expect no 0 model.h5 ""
[ ! -e model.h5.job_failures ] || fail "model.h5: failures of a finished training are kept"
expect yes 0 other.h5 "failed: going on"
for code in 1 137; do expect yes $code other.h5 "failed: going on"; done
expect no 2 other.h5 "something to mend"

# A search is finished when it has its result.
mkdir search && touch search/options.toml
expect yes 0 search "failed: going on"
touch search/history.jsonl
expect yes 0 search "failed: going on"
touch search/result.json
expect no 0 search ""

# A list, when every cell has a whole line. The last line of a cell counts.
mkdir list && touch list/{options.toml,results.jsonl}
printf '%s\n' c-1:sep3x3+c-2:identity c-1:sep5x5+c-2:identity '# crc32 1b5648d3' > list/cells
line() { printf '{"name":"%s","genome":"c-1:sep3x3+c-2:identity","status":"%s","crc32":"5e43e31a"}' "$1" "$2"; }
expect yes 0 list "failed: going on"
{ line 2 lost; echo; line 2 ok; echo; } > list/results.jsonl
expect yes 0 list "failed: going on"
line 1 ok >> list/results.jsonl
expect yes 0 list "failed: going on"
echo >> list/results.jsonl
expect no 0 list ""
BEFORE=$(progress list) expect yes 137 list "failed: going on"
line 1 ok | head -c 30 > list/results.jsonl
expect yes 0 list "failed: going on"

# jobs/train.sbatch: a rank dies before the first checkpoint, and the job is queued again.
mkdir bin
cat > bin/launcher << 'TEXT'
#!/bin/sh
echo "$*" >> launched
exit "$CODE"
TEXT
cat > bin/scontrol << 'TEXT'
#!/bin/sh
echo "$*" >> queued
kill $PPID
TEXT
echo 'exit 1' > bin/renas-train
chmod +x bin/*
trains() {  # CODE OUT OPTIONS...
  {
    CODE=$1 PATH=$PWD/bin:$PATH RENAS_BIN=$PWD/bin RENAS_LAUNCHER=launcher SLURM_JOB_ID=7 \
      bash jobs/train.sbatch data.h5 "${@:2}" || true
  } > said 2>&1
}
trains 137 trained.h5
[ "$(cat queued)" = "requeue 7" ] || fail "a rank that died early: not queued again: $(cat said)"
trains 2 wrong.h5
[ "$(cat queued)" = "requeue 7" ] || fail "wrong options: queued again: $(cat said)"
! grep -q -e --resume launched || fail "resumes what was not begun: $(cat launched)"
trains 0 unfinished --list cells.txt
! grep -q -e --resume launched || fail "resumes a folder without options: $(cat launched)"
trains 0 list --list cells.txt
grep -q -e '--out list --resume' launched || fail "does not resume a list: $(cat launched)"
[ "$(wc -l < queued)" = 2 ] || fail "a list that is not finished: not queued again: $(cat said)"

# mpirun that stays behind its ranks is killed, and its job goes on. While a rank lives, and before one
# does, it is left alone.
cat > bin/mpirun << 'TEXT'
#!/bin/bash
case $1 in --version) echo "mpirun (Open MPI) 4.1.4"; exit ;; esac
eval "$LAUNCHES"
TEXT
printf '#!/bin/sh\nsleep $1\n' > bin/renas-train
chmod +x bin/*
launches() {  # WHAT: sets `said`
  said=$(export PATH=$PWD/bin:$PATH RENAS_BIN=$PWD/bin RENAS_LAUNCHER= RENAS_PATIENCE=2 LAUNCHES=$1
    . jobs/life_cycle.sh && find_program train && launch 2 1 && echo "status $status" 2>&1)
}
launches 'renas-train 0.1 & renas-train 0.3 & wait; exec sleep 60'
[[ $said == *"mpirun does not end though its ranks are gone: it is killed"*"ended with 137"* ]] ||
  fail "a launcher without ranks: $said"
launches 'renas-train 5 & renas-train 0.1 & wait; exit 7'
[[ $said == *"ended with 7"* && $said != *killed* ]] || fail "a launcher with a rank: $said"
launches 'exec sleep 6'  # without children for longer than the patience
[[ $said == *"ended with 0"* && $said != *killed* ]] || fail "a launcher whose ranks are on other nodes: $said"

# The demo replaces what a demo made.
for name in prep-idx search report export; do
  printf '#!/bin/sh\nexit 0\n' > bin/renas-$name
done
printf '#!/bin/sh\nmkdir demo/run\n' > bin/mpirun
chmod +x bin/*
demo() { PATH=$PWD/bin:$PATH jobs/demo.sh bin "$1" > said 2>&1; }
demo demo || fail "the demo: $(cat said)"
touch demo/run/earlier
demo demo || fail "the demo again: $(cat said)"
[ -d demo/run ] && [ ! -e demo/run/earlier ] || fail "the demo does not replace its run"
for name in run fashion-mnist.h5; do
  mkdir -p "mine-$name/$name"
  ! demo "mine-$name" || fail "the demo takes mine-$name, which is of no demo"
  [ -d "mine-$name/$name" ] || fail "the demo removed $name, which no demo has made"
  grep -q "mine-$name/$name: no demo has made it" said || fail "the demo says: $(cat said)"
done
echo "job scripts go on where they should, and the demo removes what is its own"
