#!/usr/bin/env bash
# Runs every reliability test with its long counts and prints the figures that docs/RELIABILITY.md collects. About half an hour on two cores.
#   build/reliability.sh            all
#   build/reliability.sh Killed     the tests whose full names hold one of these words
# Shorter or longer: DPL_KILLS (kills of a fit), DPL_FUZZ_CASES (hostile files), DPL_LONG=0 (no long runs).
set -euo pipefail
cd "$(dirname "$0")/.."
export DPL_KILLS=${DPL_KILLS:-25} DPL_FUZZ_CASES=${DPL_FUZZ_CASES:-200000} DPL_LONG=${DPL_LONG:-1}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
if [ "$DPL_LONG" = 0 ]; then unset DPL_LONG; fi

# Kills, disks and checkpoints; same bits; what grows; hostile files; numbers that go wrong.
words=${*:-Killed FullDisk CheckpointFolder Workspace CrossValidation Determinism Randomness Leak Fuzz Hostile LongRun Busy Numbers}
filter=$(printf '|FullyQualifiedName~%s' $words)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
echo "DPL_KILLS=$DPL_KILLS DPL_FUZZ_CASES=$DPL_FUZZ_CASES DPL_LONG=${DPL_LONG:-} on $(nproc) cores, $(date -u +%FT%TZ)"
for project in test/*.Tests; do
  dotnet test "$project" -c Release --filter "${filter#|}" --logger "console;verbosity=detailed" 2>&1 | tee "$log" | grep -E '^ *(Passed|Failed|Skipped) |error' || true
  if ! grep -qE 'Test Run Successful|No test matches' "$log"; then status=1; fi
  cat "$log" >> "$log.all"
done
echo
echo "Figures:"
sed -n 's/^ *reliability: /  /p' "$log.all"
echo "$(grep -cE '^ *Passed ' "$log.all" || true) passed, $(grep -cE '^ *Failed ' "$log.all" || true) failed, $(grep -cE '^ *Skipped ' "$log.all" || true) skipped"
rm -f "$log.all"
exit "$status"
