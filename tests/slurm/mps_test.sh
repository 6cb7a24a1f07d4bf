#!/bin/bash
# jobs/with_mps.sh with a service that is made up: one start a job and node, whatever the number of
# ranks; ranks run without it where it is not there or does not start.
set -euo pipefail
script=$(cd "$(dirname "$0")/../.." && pwd)/jobs/with_mps.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TMPDIR=$folder
fail() { echo "$1" >&2; exit 1; }

mkdir "$folder/bin"
cat > "$folder/bin/nvidia-cuda-mps-control" << 'TEXT'
#!/bin/sh
sleep 0.3
echo "$1 $CUDA_MPS_PIPE_DIRECTORY" >> "$TMPDIR/starts"
exit "${FAILS:-0}"
TEXT
chmod +x "$folder/bin/nvidia-cuda-mps-control"

ranks() {  # NUMBER: so many at once, each says where it looks for the service
  for _ in $(seq "$1"); do
    "$script" sh -c 'echo "pipe ${CUDA_MPS_PIPE_DIRECTORY-none}"' &
  done
  wait
}

without=$(SLURM_JOB_ID=7 ranks 2 2>&1)
[ "$(grep -c 'no nvidia-cuda-mps-control' <<< "$without")" = 2 ] || fail "nothing said of no MPS: $without"
[ "$(grep -c 'pipe none' <<< "$without")" = 2 ] || fail "ranks did not run: $without"

PATH=$folder/bin:$PATH
for restart in 0 1; do
  found=$(SLURM_JOB_ID=7 SLURM_RESTART_COUNT=$restart ranks 4 2>&1)
  [ "$(grep -c "pipe $folder/renas-mps-.*-7.0.$restart" <<< "$found")" = 4 ] || fail "wrong pipe: $found"
done
[ "$(wc -l < "$folder/starts")" = 2 ] || fail "not one start a job: $(cat "$folder/starts")"

ranks 3 > /dev/null 2>&1  # by hand, without a scheduler
ranks 3 > /dev/null 2>&1
[ "$(wc -l < "$folder/starts")" = 3 ] || fail "ranks of one parent did not share a start: $(cat "$folder/starts")"

failed=$(FAILS=1 SLURM_JOB_ID=8 ranks 2 2>&1)
[ "$(grep -c 'MPS did not start' <<< "$failed")" = 2 ] || fail "a failed start is not named: $failed"
[ "$(grep -c 'pipe none' <<< "$failed")" = 2 ] || fail "ranks look for a service that is not there: $failed"

# The job scripts start it where ranks share a GPU, unless they are told otherwise.
life_cycle=$(dirname "$script")/life_cycle.sh
launched() {  # RENAS_MPS OPTIONS...: what a launch runs
  local mps=$1
  shift
  cd "$(dirname "$script")/.."
  (
    . "$life_cycle"
    choose_launcher() { launcher=(echo); }
    program=renas-search
    [ "$mps" = unset ] || RENAS_MPS=$mps
    launch 2 1 "$@"
  ) | sed -n 's/^.*\(with_mps.sh\) renas-search.*/\1/p'
}
expect() {  # yes|no RENAS_MPS OPTIONS...
  local expected=$1
  shift
  local found=no
  [ -z "$(launched "$@")" ] || found=yes
  [ "$found" = "$expected" ] || fail "MPS with RENAS_MPS $*: $found"
}
expect no unset --data d
expect no unset --ranks-per-gpu 1
expect yes unset --ranks-per-gpu 2 --data d
expect yes unset --ranks-per-gpu=3
expect yes yes --data d
expect no no --ranks-per-gpu 2

code=0
"$script" sh -c 'exit 3' 2> /dev/null || code=$?
[ "$code" = 3 ] || fail "the rank's exit code 3 became $code"
echo "one start a job, ranks run with it and without"
