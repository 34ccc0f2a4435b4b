#!/usr/bin/env bash
# Writes the package locks again, after a version or a reference changed: for CPU on every system and for no libtorch. Then restores for this system.
#   build/lock-packages.sh                    all (the other systems' libtorch packages are downloaded for their hashes, once)
#   build/lock-packages.sh linux none         these alone; linux, windows, macos, none
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

for choice in ${*:-linux windows macos none}; do
  case $choice in
    none) property=-p:LibTorch=none ;;
    linux | windows | macos) property=-p:LibTorchSystem=$choice ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  # Projects that are no longer there leave no lock behind.
  rm -rf "eng/locks/$choice"
  dotnet restore Microsoft.ML.Dpl.sln --force-evaluate -p:UpdatePackageLocks=true "$property"
done
dotnet restore Microsoft.ML.Dpl.sln
git status --short -- eng/locks
