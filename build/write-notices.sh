#!/usr/bin/env bash
# Writes THIRD-PARTY-NOTICES.md again, after a package or its version changed.
set -euo pipefail
cd "$(dirname "$0")/.."
DPL_WRITE_NOTICES=1 dotnet test -c Release test/Microsoft.ML.Dpl.Tool.Tests --filter FullyQualifiedName~ThirdPartyNoticesTests
git status --short -- THIRD-PARTY-NOTICES.md
