#!/usr/bin/env bash
# A study of 40 runs over 4 tasks of a real Slurm on this machine, one task killed with -9 and requeued: its table is that of one process,
# bit for bit.
#   build/check-slurm.sh        builds the command, starts munge and Slurm for itself, and stops them again
# Needs root and Debian's packages slurm-wlm and munge (apt-get install slurm-wlm munge); without them it is skipped and says so.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

for program in munged slurmctld slurmd sbatch; do
  command -v $program > /dev/null || { echo "skipped: $program is not installed (slurm-wlm, munge)"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: Slurm's own daemons need root"; exit 0; }
pgrep -x munged > /dev/null || pgrep -x slurmctld > /dev/null && { echo "skipped: this machine runs munge or Slurm already"; exit 0; }

work=$(mktemp -d)
pids=()
stop() {
  if [ -n "${SLURM_CONF:-}" ]; then
    timeout 10 scancel --user root 2> /dev/null || true
    for try in $(seq 20); do [ -z "$(timeout 10 squeue -h -o %i 2> /dev/null)" ] && break; sleep 0.5; done
  fi
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

for project in src/Microsoft.ML.Dpl.Tool samples/DrawTasks; do
  dotnet build -c Release "$project" > "$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
done
dpl() { dotnet src/Microsoft.ML.Dpl.Tool/bin/Release/net10.0/dpl.dll "$@"; }

# --- a cluster of one machine, which pretends to have four cores
chmod 711 "$work"
mkdir -m 755 "$work/munge" "$work/state" "$work/spool" "$work/log"
dd if=/dev/urandom of="$work/munge.key" bs=1024 count=1 status=none
chmod 400 "$work/munge.key"
munged --foreground --force --key-file="$work/munge.key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
  --log-file="$work/log/munged" --seed-file="$work/munge/seed" > "$work/log/munged.out" 2>&1 &
pids+=($!)
host=$(hostname -s)
cat > "$work/slurm.conf" <<EOF
ClusterName=check
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmctldPort=26817
SlurmdPort=26818
SlurmctldPidFile=$work/state/slurmctld.pid
SlurmdPidFile=$work/state/slurmd.pid
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldLogFile=$work/log/slurmctld
SlurmdLogFile=$work/log/slurmd
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,defer
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF=$work/slurm.conf
for try in $(seq 50); do [ -S "$work/munge/socket" ] && break; sleep 0.1; done
slurmctld -D > "$work/log/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D -N "$host" > "$work/log/slurmd.out" 2>&1 &
pids+=($!)
for try in $(seq 60); do
  [ "$(sinfo -h -o %t 2> /dev/null)" = idle ] && break
  sleep 1
done
[ "$(sinfo -h -o %t)" = idle ] || { echo "Slurm did not start:"; tail -n 20 "$work"/log/*; exit 1; }

# --- the study
dotnet samples/DrawTasks/bin/Release/net10.0/DrawTasks.dll --output "$work" --task lighting --train 3 --validation 1 --test 2 > /dev/null
cat > "$work/plan.json" <<EOF
{ "clip": "tiny-drawn", "threads": 1, "protocol": "few-shot", "shots": [1, 2], "seeds": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  "methods": ["uniform:1 steps=4", "text:1 steps=4"],
  "dataSets": [{ "name": "lighting", "train": "lighting/train.tsv", "test": "lighting/test.tsv" }] }
EOF
dpl study "$work/plan.json" --output "$work/one" --jobs 1 --quiet
dpl study table "$work/one" --no-seconds > "$work/one.md"

results="$work/slurm results"  # a space, which the scripts have to get past sbatch
read -r job table < <(
  dpl study submit "$work/plan.json" --output "$results" --slurm --tasks 4 2> "$work/log/submit" || { cat "$work/log/submit" >&2; echo; }
)
[ -n "$job" ] || exit 1
done_runs() { find "$results" -name '*shot*.json' 2> /dev/null | wc -l; }
for try in $(seq 300); do [ "$(done_runs)" -ge 4 ] && break; sleep 0.2; done
victim=$(pgrep -f "dpl.dll study $work/plan.json --output $results" | head -n 1)
kill -9 "$victim"
echo "killed process $victim of job $job after $(done_runs) of 40 runs"
for try in $(seq 300); do
  # Slurm waits a while before it begins a requeued task again; a test need not.
  { squeue -h -t PD -o %i | grep "^${job}_" || true; } | while read -r task; do scontrol update JobId="$task" StartTime=now; done
  [ -z "$(squeue -h -o %i)" ] && break
  sleep 2
done
[ -z "$(squeue -h -o %i)" ] || { squeue; tail -n 20 "$work"/log/* "$results"/*.log; exit 1; }
grep -h "runs were done before" "$results"/slurm-*.log ||
  { echo "no task went on where it was"; tail -n 20 "$results"/*.log; exit 1; }
[ "$(done_runs)" = 40 ] || { echo "only $(done_runs) of 40 runs"; tail -n 20 "$results"/*.log; exit 1; }
test -s "$results/table.md" || { echo "the job $table wrote no table"; cat "$results"/slurm-table.log; exit 1; }
dpl study table "$results" --no-seconds > "$work/four.md"
cmp "$work/one.md" "$work/four.md"
echo "40 runs over 4 tasks, one killed and requeued: the same table as from one process, bit for bit"
