#!/usr/bin/env bash
# Runs every reliability test with its long counts and prints the figures that docs/RELIABILITY.md collects.
#   build/reliability.sh            all
#   build/reliability.sh Killed     the tests whose full names hold one of these words
# Shorter or longer: DPL_KILLS (kills of a fit), DPL_FUZZ_CASES (hostile files), DPL_LONG=0 (no long runs). DPL_TEST_OPTIONS=--no-build takes what is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
export DPL_KILLS=${DPL_KILLS:-25} DPL_FUZZ_CASES=${DPL_FUZZ_CASES:-200000} DPL_LONG=${DPL_LONG:-1}
# Its words are read below.
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# Kills, disks and checkpoints; the same bits; what grows over time; hostile files; data and numbers that go wrong; what is shipped.
words=(Killed FullDisk CheckpointFolder Durability Workspace CrossValidation Determinism Randomness Leak LongRun Lifetime Fuzz Hostile Divergence OddData ClassName ThirdParty PackageLocks)
if [ $# -gt 0 ]; then words=("$@"); fi
filter=$(printf '|FullyQualifiedName~%s' "${words[@]}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "DPL_KILLS=$DPL_KILLS DPL_FUZZ_CASES=$DPL_FUZZ_CASES DPL_FUZZ_SEED=${DPL_FUZZ_SEED:-1} DPL_LONG=$DPL_LONG OMP_NUM_THREADS=${OMP_NUM_THREADS:-} on $(nproc --all) cores, $(git rev-parse --short HEAD 2>/dev/null || echo 'no commit'), $(date -u +%FT%TZ)"
status=0
for project in test/*.Tests; do
  dotnet test "$project" -c Release ${DPL_TEST_OPTIONS:-} --filter "${filter#|}" --logger "console;verbosity=detailed" >"$work/log" 2>&1 || status=1
  cat "$work/log" >> "$work/all"
  # What kept the tests from running, what ended them, and what failed and why.
  grep -E ': error |^ *Failed |[Tt]est (run|host process) (was )?(aborted|crashed)' -A 12 "$work/log" || true
done

echo "Figures:"
awk '/^ *(Passed|Failed|Skipped) .*\[/ { n = split($2, part, "."); test = part[n] }
     /Standard Output Messages:/ { inside = 1; next }
     inside && /^[[:space:]]*$/ { inside = 0 }
     inside { sub(/^ *(reliability: )?/, ""); print "  " test ": " $0 }' "$work/all"
if grep -qE '^ *Skipped .*\[' "$work/all"; then
  echo "Skipped:"
  grep -E '^ *Skipped .*\[' -A 2 "$work/all" | grep -v -E 'Error Message:|^--$'
fi
count() { grep -cE "^ *$1 .*\[" "$work/all" || true; }
# A word without a test is a slip of the pen, or its tests are gone.
grep -E '^ *(Passed|Failed|Skipped) .*\[' "$work/all" > "$work/tests" || true
for word in "${words[@]}"; do
  if ! grep -qiF -- "$word" "$work/tests"; then echo "no test ran for '$word'" >&2; status=1; fi
done
echo "$(count Passed) passed, $(count Failed) failed, $(count Skipped) skipped"
exit "$status"
