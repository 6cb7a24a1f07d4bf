#!/bin/bash
# jobs/search.sbatch and jobs/train.sbatch on a private Slurm cluster: a run that is warned of its time limit, loses ranks
# and nodes, and goes on by itself, ends with the results of an undisturbed one, each once.
#
#   job_test.sh PROGRAMS [long]      PROGRAMS: the folder of renas-search; exits with 77 without Slurm
set -euo pipefail
programs=$(cd "$1" && pwd)
long=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
# Nodes have a /dev/shm of their own, which would hide the cluster's folder.
case "${TMPDIR:-/tmp}" in /dev/shm*) export TMPDIR=/tmp ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/renas-slurm-XXXXXX")
trap '"$here/cluster.sh" down "$work/cluster" || true; rm -rf "$work"' EXIT

"$here/cluster.sh" up "$work/cluster" 2 2 2
. "$work/cluster/env.sh"
ln -s "$here/../../jobs" "$work/jobs"
cd "$work"
export RENAS_BIN=$programs

fail() {
  echo "job_test.sh: $*" >&2
  tail -n 40 "$work"/*.out >&2 || true
  exit 1
}

# A data set of made-up images, 8 x 8: 160 to train on, 32 to test.
idx() { # FILE MAGIC COUNT [ROWS COLUMNS]
  local number
  for number in "${@:2}"; do
    printf "$(printf '\\x%02x' $((number >> 24)) $((number >> 16 & 255)) $((number >> 8 & 255)) $((number & 255)))"
  done > "$1"
}
mkdir idx
idx idx/train-images-idx3-ubyte 2051 160 8 8
idx idx/t10k-images-idx3-ubyte 2051 32 8 8
idx idx/train-labels-idx1-ubyte 2049 160
idx idx/t10k-labels-idx1-ubyte 2049 32
head -c 10240 /dev/urandom >> idx/train-images-idx3-ubyte
head -c 2048 /dev/urandom >> idx/t10k-images-idx3-ubyte
for i in $(seq 160); do printf "\\x0$((i % 4))"; done >> idx/train-labels-idx1-ubyte
for i in $(seq 32); do printf "\\x0$((i % 4))"; done >> idx/t10k-labels-idx1-ubyte
"$programs/renas-prep-idx" idx data.h5 > /dev/null

# submit RUN [option of sbatch ...] -- [option of renas-search ...]: sets `job`
submit() {
  local run=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  job=$(sbatch --parsable --ntasks=2 --output="$run-%j.out" "${options[@]}" jobs/search.sbatch data.h5 "$run" \
    --blocks 2 --cells 1 --filters 2 --population 3 --sample 2 --batch 16 --initial-epochs 1 \
    --retrain-epochs 2 --threads 1 --quiet --max-attempts 100 "$@")
}
field() { scontrol show job "$job" | grep -o "$1=[^ ]*" | cut -d= -f2; }
lines() { wc -l 2> /dev/null < "$1/history.jsonl" || echo 0; }
wait_for() { # SECONDS WHAT command...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if [ "$what" != "the end" ] && is_over; then
      fail "job $job ended as $(field JobState) $(field ExitCode) before $what"
    fi
    [ $SECONDS -lt $end ] || fail "waited too long for $what of job $job ($(field JobState))"
    sleep 0.2
  done
}
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
has_restarts() { [ "$(field Restarts)" -ge "$1" ]; }
runs() { [ "$(field JobState)" = RUNNING ]; }
is_over() { case $(field JobState) in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) false ;; esac; }

finished() { # RUN RESULTS RESTARTS
  wait_for 300 "the end" is_over
  [ "$(field JobState)" = COMPLETED ] || fail "$1: ended as $(field JobState) $(field ExitCode)"
  [ -s "$1/result.json" ] || fail "$1: no result"
  [ "$(lines "$1")" = "$2" ] || fail "$1: $(lines "$1") results, expected $2"
  local ids
  ids=$(grep -o '"id":[0-9]*' "$1/history.jsonl" | sort -u | wc -l)
  [ "$ids" = "$2" ] || fail "$1: $ids different candidates, expected $2"
  ! grep -q '"status":"lost"' "$1/history.jsonl" || fail "$1: lost candidates"
  [ "$(field Restarts)" -ge "$3" ] || fail "$1: $(field Restarts) restarts, expected $3"
  echo "ok: $1, $2 results after $(field Restarts) restarts"
}

# Warned of its time limit: as Slurm does it, by the signal to the script alone.
# The short form ends it by hand, so that it has more to do than a fast machine does meanwhile.
children=$([ -n "$long" ] && echo 400 || echo 10000)
submit warned --nodes=2 --ntasks-per-node=1 -- --children "$children"
wait_for 120 "results" has_lines warned 5
scancel --signal=USR1 --batch "$job"
wait_for 60 "the restart" has_restarts 1
before=$(lines warned)
[ "$before" -lt $((children + 3)) ] || fail "warned: it was done before it could go on"
grep -q 'no more children are begun' warned/log.txt || fail "warned: it did not drain"
wait_for 60 "its going on" has_lines warned $((before + 3))
warned=$job

# A mistake is not tried again.
submit mistaken -- --children 1 --sample 9
wait_for 60 "the end" is_over
[ "$(field ExitCode)" = 2:0 ] && [ "$(field Restarts)" = 0 ] || fail "a mistake: $(field ExitCode), $(field Restarts) restarts"

# A training loses its ranks before its first checkpoint, is warned, goes on, and ends.
trains() {
  local rank
  job=$(sbatch --parsable --ntasks=2 --output=early-%j.out jobs/train.sbatch data.h5 "$work/early.h5" \
    --genome renasnet --cells 4 --filters 32 --batch 16 --epochs 1 --threads 1 --quiet)
  rank=$(wait_for 60 "its start" pgrep --newest -f "renas-train .*--out $work/early.h5 ")
  kill -KILL "$rank"
  [ ! -e early.h5.checkpoint ] || fail "a training: it had a checkpoint before it could be killed"
  wait_for 120 "the restart" has_restarts 1  # mpirun may stay behind, and has RENAS_PATIENCE
  wait_for 300 "the end" is_over
  [ "$(field JobState)" = COMPLETED ] || fail "a training: ended as $(field JobState) $(field ExitCode)"
  "$programs/renas-inspect" model early.h5 > /dev/null || fail "a training: no model"
  echo "ok: early.h5, requeued before its first checkpoint"

  job=$(sbatch --parsable --ntasks=2 --output=trained-%j.out jobs/train.sbatch data.h5 trained.h5 \
    --genome c-1:sep3x3+c-2:identity --cells 1 --filters 2 --batch 16 --epochs 800 --threads 1 --quiet)
  wait_for 120 "a checkpoint" test -e trained.h5.checkpoint
  scancel --signal=USR1 --batch "$job"
  wait_for 60 "the restart" has_restarts 1
  wait_for 300 "the end" is_over  # two ranks that wait for each other, on cores that may be busy
  [ "$(field JobState)" = COMPLETED ] || fail "a training: ended as $(field JobState) $(field ExitCode)"
  "$programs/renas-inspect" model trained.h5 > /dev/null || fail "a training: no model"
  grep -q 'renas-train ended with 3' trained-"$job".out || fail "a training: it was not stopped in order"
  echo "ok: trained.h5, requeued once"
}

if [ -z "$long" ]; then
  # Ended by a person, it stays ended; the same command again goes on with it.
  job=$warned
  scancel "$job"
  wait_for 60 "the end" is_over
  [ "$(field JobState)" = CANCELLED ] || fail "ended by scancel, but $(field JobState)"
  before=$(lines warned)
  submit warned --nodes=2 --ntasks-per-node=1 --
  wait_for 60 "its going on" has_lines warned $((before + 1))
  echo "ok: warned, requeued, cancelled, submitted again"
  scancel "$job"
  trains
  exit 0
fi
job=$warned
finished warned $((children + 3)) 1
trains

# Ranks and launchers that are killed.
submit killed -- --children 300
for restart in 1 2 3; do
  wait_for 120 "results" has_lines killed $(($(lines killed) + 5))
  pkill -KILL -f "renas-search .*--run killed" --newest || true
  wait_for 60 "restart $restart" has_restarts "$restart"
  wait_for 60 "its start" runs
done
finished killed 303 3

# With recovery a worker's death costs nothing, and the coordinator's a restart, whatever mpirun says.
kill_rank() { # RUN RANK
  local id
  for id in $(pgrep -f "renas-(search|train) .*--(run|out) $1 "); do
    if tr '\0' '\n' < "/proc/$id/environ" | grep -q -x "OMPI_COMM_WORLD_RANK=$2"; then
      kill -KILL "$id"
      return
    fi
  done
  fail "$1: there is no rank $2"
}
RENAS_LAUNCHER="mpirun --enable-recovery" submit recovered -- --children 400 --worker-timeout 5
wait_for 120 "results" has_lines recovered 10
kill_rank recovered 0
wait_for 60 "the restart" has_restarts 1
wait_for 120 "its going on" has_lines recovered $(($(lines recovered) + 10))
kill_rank recovered 1
finished recovered 403 1
[ "$(field Restarts)" = 1 ] || fail "recovered: a worker's death cost a restart"

# So it does of a list of cells.
printf '%s\n' c-1:{sep3x3,sep5x5,avg3x3,identity}+c-2:{sep3x3,sep5x5,max3x3,avg3x3,identity} > cells.txt
job=$(RENAS_LAUNCHER="mpirun --enable-recovery" sbatch --parsable --ntasks=2 --output=listed-%j.out \
  jobs/train.sbatch data.h5 listed --list cells.txt --cells 1 --filters 2 --batch 16 --epochs 100 \
  --threads 1 --quiet --worker-timeout 5)
has_cells() { [ "$(wc -l 2> /dev/null < listed/results.jsonl || echo 0)" -ge "$1" ]; }
wait_for 120 "results" has_cells 2
kill_rank listed 0
wait_for 60 "the restart" has_restarts 1
wait_for 300 "the end" is_over
[ "$(field JobState)" = COMPLETED ] || fail "listed: ended as $(field JobState) $(field ExitCode)"
[ "$(grep -o '"name":"[0-9]*"' listed/results.jsonl | sort -u | wc -l)" = 20 ] || fail "listed: cells are missing"
echo "ok: listed, 20 cells after $(field Restarts) restarts"

# A node that is taken away.
submit moved -- --children 200
wait_for 120 "results" has_lines moved 5
node=$(field BatchHost)
scontrol update nodename="$node" state=down reason=test
wait_for 60 "the restart" has_restarts 1
scontrol update nodename="$node" state=resume 2> /dev/null || true  # it may be back by itself
finished moved 203 1

# A time limit that comes, in minutes. The warning comes a minute and up to half another before it.
submit limited --time=2 --signal=B:USR1@60 -- --children 6000
RESTARTS=1
wait_for 240 "the restart at the limit" has_restarts "$RESTARTS"
scancel "$job"
wait_for 60 "the end" is_over
[ "$(grep -c '"line"' limited/history.jsonl)" = "$(grep -o '"id":[0-9]*' limited/history.jsonl | sort -u | wc -l)" ] ||
  fail "limited: a candidate came twice"
echo "ok: limited, $(lines limited) results"

# srun starts the ranks, through a command as a container's. Each sees the GPUs of its node, of which it
# takes the one of its local rank.
cat > container.sh << 'TEXT'
#!/bin/sh
echo "rank $SLURM_PROCID, local $SLURM_LOCALID on $SLURMD_NODENAME: GPUs $CUDA_VISIBLE_DEVICES" >> "$SEEN"
exec "$@"
TEXT
chmod +x container.sh
if srun --mpi=list 2>&1 | grep -q pmix; then
  export SEEN=$work/seen
  RENAS_LAUNCHER="srun --mpi=pmix $work/container.sh" \
    submit pmix --ntasks=4 --nodes=2 --ntasks-per-node=2 --gpus-per-node=2 -- --children 10
  finished pmix 13 0
  [ "$(sort "$SEEN" | sed 's/on node[12]/on a node/')" = "rank 0, local 0 on a node: GPUs 0,1
rank 1, local 1 on a node: GPUs 0,1
rank 2, local 0 on a node: GPUs 0,1
rank 3, local 1 on a node: GPUs 0,1" ] || fail "pmix: ranks and GPUs: $(cat "$SEEN")"
fi
