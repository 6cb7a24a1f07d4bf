#!/bin/bash
# A private Slurm cluster of several nodes on this machine, for tests: no systemd, no control groups,
# no accounting. All of it (settings, key, sockets, logs, process ids) lies in one folder.
#
#   cluster.sh up FOLDER [NODES [CPUS [GPUS]]]   starts it; FOLDER/env.sh then says how to reach it
#   cluster.sh down FOLDER                       ends its processes and removes the folder
#
# Needs root, and the commands of Debian's slurmctld, slurmd, slurm-client and munge; exits with 77,
# which stands for a skipped test, where they are missing. Each node has its own host name and
# /dev/shm where the system permits it (unshare). GPUS are only device files: Slurm maps them.
set -euo pipefail

say() { echo "$*" >&2; }
skip() { say "skipped: $*"; exit 77; }

[ $# -ge 2 ] || { say "usage: cluster.sh up|down FOLDER [NODES [CPUS [GPUS]]]"; exit 2; }
action=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)

# Ends the process of a file of its id if that process is still the one that wrote it.
end_process() {
  local id
  [ -s "$1" ] || return 0
  id=$(cat "$1")
  grep -q -F -e "$folder" "/proc/$id/cmdline" 2> /dev/null || return 0
  kill "$id" 2> /dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$id" 2> /dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$id" 2> /dev/null || true
}

down() {
  export SLURM_CONF=$folder/slurm.conf
  if [ -e "$folder/slurmctld.pid" ]; then
    timeout 5 scancel --user="$(id -un)" > /dev/null 2>&1 || true
    sleep 1
  fi
  local file
  for file in "$folder"/slurmd.*.pid "$folder/slurmctld.pid" "$folder/munged.pid"; do
    end_process "$file"
  done
  rm -rf "$folder"
}

up() {
  local nodes=${1:-2} cpus=${2:-2} gpus=${3:-0} command i
  [ "$(id -u)" = 0 ] || skip "a private Slurm cluster needs root"
  PATH=$PATH:/usr/sbin:/sbin
  for command in slurmctld slurmd munged sbatch scontrol; do
    command -v $command > /dev/null || skip "$command is not installed (slurmctld, slurmd, slurm-client, munge)"
  done
  mkdir -p "$folder"/{state,log,pmix}
  chmod 755 "$folder"
  mkdir -m 700 "$folder/munge"
  dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
  chmod 400 "$folder/munge/key"
  munged --force --key-file="$folder/munge/key" --socket="$folder/munge.socket" --num-threads=2 \
    --pid-file="$folder/munged.pid" --log-file="$folder/log/munged" --seed-file="$folder/munge/seed"

  # Ports that depend on the folder, so that clusters side by side do not meet.
  local port=$((20000 + $(echo "$folder" | cksum | cut -d' ' -f1) % 20000))
  local gres=
  : > "$folder/gres.conf"
  if [ "$gpus" -gt 0 ]; then
    for i in $(seq 0 $((gpus - 1))); do mknod "$folder/gpu$i" c 1 3; done
    gres="Gres=gpu:$gpus"
    for i in $(seq "$nodes"); do
      echo "NodeName=node$i Name=gpu File=$folder/gpu[0-$((gpus - 1))]" >> "$folder/gres.conf"
    done
  fi
  : > "$folder/plugstack.conf"
  cat > "$folder/slurm.conf" << TEXT
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
InactiveLimit=0
SlurmdTimeout=60
SlurmdParameters=config_overrides
GresTypes=gpu
PlugStackConfig=$folder/plugstack.conf
MailProg=/bin/true
NodeName=DEFAULT CPUs=$cpus RealMemory=1000 State=UNKNOWN $gres
TEXT
  for i in $(seq "$nodes"); do
    echo "NodeName=node$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + i))"
  done >> "$folder/slurm.conf"
  echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >> "$folder/slurm.conf"
  # The nodes are one machine without a network of its own.
  cat > "$folder/env.sh" << TEXT
export PATH=\$PATH:/usr/sbin:/sbin SLURM_CONF=$folder/slurm.conf
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
TEXT
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -c -f "$SLURM_CONF"
  local apart=()
  if unshare --uts --mount true 2> /dev/null; then
    apart=(unshare --uts --mount --propagation private)
    echo "PMIxCliTmpDirBase=$folder/pmix" > "$folder/mpi.conf"
  fi
  for i in $(seq "$nodes"); do
    mkdir -p "$folder/spool.node$i" "$folder/pmix.node$i"
    "${apart[@]}" bash -c '
      if [ "$3" = apart ]; then
        hostname "$1"
        mount -t tmpfs -o mode=1777 none /dev/shm
        mount --bind "$2/pmix.$1" "$2/pmix"
      fi
      exec slurmd -f "$2/slurm.conf" -N "$1"' _ "node$i" "$folder" "${apart[0]:+apart}"
  done
  for _ in $(seq 100); do
    [ "$(sinfo -h -N -o %t 2> /dev/null | grep -c '^idle')" != "$nodes" ] || return 0
    sleep 0.2
  done
  say "the cluster does not come up:"
  tail -n 5 "$folder"/log/* >&2
  down
  exit 1
}

case $action in
  up) up "${@:3}" ;;
  down) down ;;
  *) say "cluster.sh: up or down, not $action"; exit 2 ;;
esac
