#!/usr/bin/env bash
# Runs every reliability test with its long counts and prints the figures that docs/RELIABILITY.md collects.
#   build/reliability.sh            all
#   build/reliability.sh Killed     the tests whose full names hold one of these words
# Shorter or longer: DPL_KILLS (kills of a fit), DPL_FUZZ_CASES (hostile files), DPL_LONG=0 (no long runs). DPL_TEST_OPTIONS=--no-build takes what is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
export DPL_KILLS=${DPL_KILLS:-25} DPL_FUZZ_CASES=${DPL_FUZZ_CASES:-200000} DPL_LONG=${DPL_LONG:-1}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# Kills, disks and checkpoints; the same bits; what grows over time; hostile files; data and numbers that go wrong; what is shipped.
words=${*:-Killed FullDisk CheckpointFolder Workspace CrossValidation Determinism Randomness Leak LongRun Lifetime Fuzz Hostile Divergence OddData ThirdParty}
filter=$(printf '|FullyQualifiedName~%s' $words)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "DPL_KILLS=$DPL_KILLS DPL_FUZZ_CASES=$DPL_FUZZ_CASES DPL_LONG=$DPL_LONG on $(nproc --all) cores, $(date -u +%FT%TZ)"
status=0
for project in test/*.Tests; do
  dotnet test "$project" -c Release ${DPL_TEST_OPTIONS:-} --filter "${filter#|}" --logger "console;verbosity=detailed" >"$work/log" 2>&1 || status=1
  cat "$work/log" >> "$work/all"
  # What kept the tests from running, and what failed and why.
  grep -E ': error |^ *Failed ' -A 12 "$work/log" || true
done

echo "Figures:"
awk '/^ *(Passed|Failed|Skipped) / { n = split($2, part, "."); test = part[n] }
     /Standard Output Messages:/ { inside = 1; next }
     inside && /^[[:space:]]*$/ { inside = 0 }
     inside { sub(/^ *(reliability: )?/, ""); print "  " test ": " $0 }' "$work/all"
count() { grep -cE "^ *$1 .*\[" "$work/all" || true; }
if [ "$(count Passed)" -eq 0 ]; then echo "no test ran" >&2; status=1; fi
echo "$(count Passed) passed, $(count Failed) failed, $(count Skipped) skipped"
exit "$status"
