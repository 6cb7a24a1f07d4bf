#!/bin/sh
# Runs a rank with NVIDIA's Multi-Process Service, which lets ranks that share a GPU compute at the
# same time: the first rank on each node starts the service, the others wait for it.
#
#   mpirun -np 8 jobs/with_mps.sh renas-search --ranks-per-gpu 4 ...
#
# The job scripts do this where ranks share a GPU (--ranks-per-gpu, or RENAS_MPS=yes). The scheduler ends the
# service with the job; without one, nvidia-cuda-mps-control does when it is told "quit". Its pipes and logs
# are in a folder of this start below TMPDIR (/tmp). Where the service cannot be had the rank runs all the same, and says so.
if [ $# -eq 0 ]; then
  echo "usage: jobs/with_mps.sh PROGRAM [ARGUMENTS ...]" >&2
  exit 2
fi
if ! command -v nvidia-cuda-mps-control > /dev/null; then
  echo "$(hostname): no nvidia-cuda-mps-control in PATH: ranks take turns on a shared GPU" >&2
  exec "$@"
fi
# A job that was queued again must not find the folder of its last start. Slurm numbers starts; else all
# ranks of a node have one parent, the launcher's process there.
start=$PPID
[ -z "${SLURM_JOB_ID:-}" ] || start=$SLURM_JOB_ID.${SLURM_STEP_ID:-0}.${SLURM_RESTART_COUNT:-0}
folder=${TMPDIR:-/tmp}/renas-mps-$(id -u)-$start
export CUDA_MPS_PIPE_DIRECTORY="$folder" CUDA_MPS_LOG_DIRECTORY="$folder"
if mkdir -m 700 "$folder" 2> /dev/null; then
  nvidia-cuda-mps-control -d
  echo $? > "$folder/started"
else
  tries=0
  while [ ! -s "$folder/started" ] && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
fi
if [ "$(cat "$folder/started" 2> /dev/null)" != 0 ]; then
  echo "$(hostname): MPS did not start (logs in $folder): ranks take turns on a shared GPU" >&2
  unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
fi
exec "$@"
