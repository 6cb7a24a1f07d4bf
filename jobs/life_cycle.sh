# What the job scripts of all schedulers share: starting the ranks, stopping in time, going on.
# A script sources it and calls, in this order,
#
#   find_program NAME          sets `program` to renas-NAME: of RENAS_BIN, or build/bin, or PATH
#   launch RANKS CORES ARG...  runs `program` with ARG on so many ranks, each on so many cores;
#                              sets `status` to its exit code
#   is_begun RUN               whether there is something to go on with (--resume)
#   must_go_on RUN             whether the job has to run again
#
# RUN is what a program writes: the folder of a search, the model of a training, the folder of a list of
# cells. A script is submitted once. Until the run is finished it goes on, as often as it takes:
#
#   exit code of the launcher    what it means        must_go_on
#   0                            finished             no
#   2                            something to mend    no
#   3                            stopped in order     yes
#   any other, a signal's        failed               yes, but after three starts in a row that
#                                                     brought no result: no
#   0, and it is not finished    failed: mpirun --enable-recovery hides it where rank 0 has died
#   any, after the job was told to end (scancel, qdel, bkill)    no
#
# Before the run is begun (a training: before its first checkpoint) only the failures go on that a signal
# made, those with exit codes above 128: others are mistakes that would come again.

# Settings, by environment:
#   RENAS_BIN        folder of the programs
#   RENAS_LAUNCHER   what starts the ranks in place of mpirun: "srun --mpi=pmix",
#                    "mpirun --enable-recovery" (of Open MPI 4: a rank that dies costs its child only)
#   RENAS_MPS        yes or no: whether NVIDIA's MPS is started on each node, for ranks that share a
#                    GPU; otherwise it is where the options have --ranks-per-gpu of 2 or more
#                    (--ranks-per-gpu; jobs/with_mps.sh)
#   RENAS_DRAIN      seconds, of those between the scheduler's warning and the time limit, for which
#                    children under way may finish; 90
#   RENAS_PATIENCE   seconds that mpirun has to end by itself when its ranks on its node are gone; 30

find_program() {
  local folder=${RENAS_BIN:-$PWD/build/bin}
  program=$folder/renas-$1
  [ -x "$program" ] || program=$(command -v "renas-$1" || true)
  if [ ! -x "$program" ]; then
    echo "renas-$1 was not found in $folder or PATH: build it, or set RENAS_BIN to its folder" >&2
    exit 2
  fi
}

# The command that starts $1 ranks on $2 cores each, as the array `launcher`; `is_open_mpi`: yes or no.
choose_launcher() {
  read -r -a launcher <<< "${RENAS_LAUNCHER:-mpirun}"
  if ! command -v "${launcher[0]}" > /dev/null; then
    echo "${launcher[0]} was not found: load the module of the MPI that RENAS was built with, or set" \
      "RENAS_LAUNCHER, for example to \"srun --mpi=pmix\"" >&2
    exit 2
  fi
  # Its own options stand before the command of a container, if there is one.
  local options
  is_open_mpi=no
  case ${launcher[0]##*/} in
    srun) options=(--ntasks="$1" --cpus-per-task="$2") ;;
    *)
      options=(-np "$1")
      # Only Open MPI knows this option; other launchers place ranks as the scheduler says.
      if "${launcher[0]}" --version 2>&1 | grep -q -e 'Open MPI' -e OpenRTE; then
        is_open_mpi=yes
        options+=(--map-by "slot:PE=$2")
      fi
      ;;
  esac
  launcher=("${launcher[0]}" "${options[@]}" "${launcher[@]:1}")
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

# All that shows progress: results, models, checkpoints.
progress_of() {
  local files=("$1" "$1.checkpoint")
  [ ! -d "$1" ] || files=("$1"/{history.jsonl,results.jsonl,search_over} "$1"/retrain/*.h5)
  { stat -c '%n %s %Y' "${files[@]}" 2> /dev/null || true; } | cksum
}

# shares_gpus OPTIONS...: yes where several ranks are to share a GPU, else no.
shares_gpus() {
  local option number=1
  while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
      --ranks-per-gpu) number=${1:-1} ;;
      --ranks-per-gpu=*) number=${option#*=} ;;
    esac
  done
  if [[ $number =~ ^[0-9]+$ ]] && [ "$number" -gt 1 ]; then echo yes; else echo no; fi
}

# Whether process $1, a child of launcher $2, is a rank: alive within a command of its own (a container's),
# or dead. A child that does not yet run its command has the launcher's own.
is_rank() {
  [ "$(cat "/proc/$1/comm" 2> /dev/null)" = "${program##*/}" ] ||
    { grep -q -a -F -e "${program##*/}" "/proc/$1/cmdline" 2> /dev/null &&
      [ ! "/proc/$1/exe" -ef "/proc/$2/exe" ]; }
}

# Ends the launcher with process id $1 where it stays behind ranks that are gone. mpirun of Open MPI 4.1
# does, for ever, where a rank dies within MPI_Init: at its own end it waits for a lock that nobody holds
# any more. It is watched from the moment that a rank has been seen among its children, and has RENAS_PATIENCE
# from the death of its last child to end by itself. Of a launcher all of whose ranks are on other nodes, which
# has no children either, no rank is ever seen.
end_without_ranks() {
  local child living has_had_ranks=no seconds_alone=0
  while kill -0 "$1" 2> /dev/null; do
    living=no
    for child in $(cat "/proc/$1/task"/*/children 2> /dev/null); do
      if [ $has_had_ranks = no ] && is_rank "$child" "$1"; then has_had_ranks=yes; fi
      if grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$child/status" 2> /dev/null; then living=yes; fi
    done
    if [ $has_had_ranks = no ]; then
      sleep 0.2 > /dev/null 2>&1
      continue
    fi
    if [ $living = yes ]; then seconds_alone=0; fi
    if [ $seconds_alone -ge "${RENAS_PATIENCE:-30}" ]; then
      echo "${launcher[0]} does not end though its ranks are gone: it is killed"
      kill -KILL "$1" 2> /dev/null || true
      return
    fi
    sleep 2 > /dev/null 2>&1
    seconds_alone=$((seconds_alone + 2))
  done
}

launch() {
  local ranks=$1 cores=$2 mps=()
  shift 2
  if [ "${RENAS_MPS:-$(shares_gpus "$@")}" != no ]; then mps=("$PWD/jobs/with_mps.sh"); fi
  choose_launcher "$ranks" "$cores"
  told_to_end=no
  echo "$(date '+%F %T') $ranks ranks x $cores cores: ${launcher[*]} $program $*"
  "${launcher[@]}" ${mps[@]+"${mps[@]}"} "$program" "$@" &
  local job=$! watch=
  # Schedulers signal this shell; the launcher passes the signal on to every rank. A trapped signal
  # ends `wait`.
  trap 'kill -USR1 $job 2> /dev/null' USR1
  # The second of two such signals leaves what is under way (--drain).
  trap 'told_to_end=yes; kill -USR1 $job 2> /dev/null; sleep 1; kill -USR1 $job 2> /dev/null' TERM
  if [ $is_open_mpi = yes ]; then
    end_without_ranks $job &
    watch=$!
    disown $watch
  fi
  status=0
  wait $job || status=$?
  while kill -0 $job 2> /dev/null; do
    status=0
    wait $job || status=$?
  done
  trap - USR1 TERM
  [ -z "$watch" ] || kill "$watch" 2> /dev/null || true
  echo "$(date '+%F %T') ${program##*/} ended with $status"
}

is_begun() { [ -f "$1" ] || [ -e "$1.checkpoint" ] || [ -e "$1/options.toml" ]; }

# Whether every cell of the list in folder $1 has its line in the results. A last line without its end is
# what a killed program left.
has_all_cells() {
  local results=$1/results.jsonl
  [ "$(head -n "$(wc -l < "$results")" "$results" |
    sed -n 's/^{"name":"\([0-9]*\)",.*"crc32":"[0-9a-f]\{8\}"}$/\1/p' | sort -u | wc -l)" = \
    "$(grep -c -v '^#' "$1/cells")" ]
}

# Whether what a program that ended with 0 makes last is there.
is_finished() {
  if [ -e "$1/cells" ]; then
    has_all_cells "$1"
  elif [ -d "$1" ]; then
    [ -e "$1/result.json" ]
  else
    [ -e "$1" ]
  fi
}

must_go_on() {
  local run=$1 failures counted=$1.job_failures
  if [ -e "$run/options.toml" ]; then
    rm -f "$counted"
    counted=$run/job_failures
  fi
  if [ "$status" = 0 ]; then
    if is_finished "$run"; then
      rm -f "$counted"
      return 1
    fi
    status=1
  fi
  if [ "$status" = 2 ]; then
    echo "there is something to mend: not going on"
    return 1
  fi
  if [ "$told_to_end" = yes ]; then
    echo "the job was told to end: the same command again goes on with the run"
    return 1
  fi
  [ "$status" != 3 ] || return 0
  if [ "$status" -le 128 ] && ! is_begun "$run"; then
    echo "failed before there was a run: not going on"
    return 1
  fi
  failures=0
  if [ "$(progress_of "$run")" = "${progress_before:-}" ]; then
    failures=$(($(cat "$counted" 2> /dev/null || echo 0) + 1))
  fi
  if ! mkdir -p "$(dirname "$counted")" || ! echo "$failures" > "$counted"; then
    echo "failed, and the failures cannot be counted in $counted: not going on"
    return 1
  fi
  if [ "$failures" -ge 3 ]; then
    rm -f "$counted"
    echo "failed, and three starts in a row brought no result: not going on"
    return 1
  fi
  echo "failed: going on"
}
