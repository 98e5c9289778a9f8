#!/usr/bin/env bash
# A Slurm of one node with two pretended GPUs, on loopback, without systemd. Needs root and the Debian packages
#   slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins
# Usage: start_slurm.sh start DIR   then   export SLURM_CONF=DIR/slurm.conf;   start_slurm.sh stop DIR
set -euo pipefail
action=$1 dir=$(mkdir -p "$2" && readlink -f "$2") node=$(hostname -s)

if [ "$action" = stop ]; then
  for daemon in slurmd slurmctld; do
    [ ! -s "$dir/$daemon.pid" ] || kill "$(cat "$dir/$daemon.pid")" 2>/dev/null || true
  done
  [ ! -e "$dir/own_munged" ] || kill "$(cat /run/munge/munged.pid)" 2>/dev/null || true
  exit 0
fi

# munge signs the daemons' messages; one that runs already is used and left alone
if ! munge -n >/dev/null 2>&1; then
  mkdir -p /run/munge /var/log/munge /var/lib/munge
  [ -s /etc/munge/munge.key ] || (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
  chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
  chmod 755 /run/munge
  runuser -u munge -- /usr/sbin/munged
  touch "$dir/own_munged"
fi

mkdir -p "$dir/state" "$dir/spool"
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
cat >"$dir/slurm.conf" <<CONF
ClusterName=tests
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-16831}
SlurmdPort=$((${SLURM_TEST_PORT:-16831} + 1))
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=1000,batch_sched_delay=0
ReturnToService=2
KillWait=3
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=gpu Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
# two character devices that every machine has stand for the GPUs: placement is tested, not CUDA
printf 'NodeName=%s Name=gpu File=%s\n' "$node" /dev/null "$node" /dev/zero >"$dir/gres.conf"

export SLURM_CONF=$dir/slurm.conf
slurmctld -f "$SLURM_CONF" -i
slurmd -f "$SLURM_CONF"
for _ in $(seq 40); do
  ! sinfo -h -o %T 2>/dev/null | grep -qx idle || exit 0
  sleep 0.5
done
echo "Slurm's node did not become idle:" >&2
tail -n 20 "$dir"/*.log >&2
exit 1
