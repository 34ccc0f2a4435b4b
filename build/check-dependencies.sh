#!/usr/bin/env bash
# Fails where the package locks do not fit the projects, or a package that is used, however indirectly, has a known advisory.
# Advisories come from the package source; where it has none this says so and is not a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
# Its words are read below.
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Forced: a restore that thinks there is nothing to do would not compare the hashes.
if ! CI=true dotnet restore Microsoft.ML.Dpl.sln --locked-mode --force >"$work/restore"; then
  cat "$work/restore" >&2
  echo "The package locks do not fit: run build/lock-packages.sh, look at what changed, and commit eng/locks." >&2
  exit 1
fi
# A project without a lock is restored without a word.
for project in $(find src samples test -name '*.csproj' -not -path '*/bin/*' -not -path '*/obj/*'); do
  for choice in linux windows macos none; do
    lock=eng/locks/$choice/$(basename "$project" .csproj).lock.json
    if ! git ls-files --error-unmatch "$lock" >/dev/null 2>&1; then echo "There is no $lock: run build/lock-packages.sh and commit eng/locks." >&2; exit 1; fi
  done
done
echo "Package locks: every package is the one of eng/locks."

# A source without advisories is told from packages without one only where it is named as a source of advisories.
sources=$(dotnet nuget list source --format short | sed -n 's/^E *\([^ ]*\).*/\1/p')
{
  echo '<configuration>'
  for section in packageSources auditSources; do
    echo "<$section><clear />"
    n=0
    for source in $sources; do n=$((n + 1)); echo "<add key=\"source$n\" value=\"$source\" />"; done
    echo "</$section>"
  done
  echo '</configuration>'
} > "$work/NuGet.Config"
mkdir "$work/probe"
version=$(sed -n 's/.*Include="System.CommandLine" Version="\([^"]*\)".*/\1/p' Directory.Packages.props)
echo '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>'"<ItemGroup><PackageReference Include=\"System.CommandLine\" Version=\"$version\" /></ItemGroup></Project>" > "$work/probe/probe.csproj"
dotnet restore "$work/probe" --configfile "$work/NuGet.Config" -p:NuGetAudit=true -p:NuGetAuditMode=all >"$work/probed" 2>&1 || { cat "$work/probed" >&2; exit 1; }
if grep -q NU1905 "$work/probed"; then
  echo "Advisories: this package source gives none, so packages were not checked for them."
  exit 0
fi

dotnet list Microsoft.ML.Dpl.sln package --vulnerable --include-transitive > "$work/vulnerable"
if grep -q "has the following vulnerable packages" "$work/vulnerable"; then
  cat "$work/vulnerable" >&2
  exit 1
fi
echo "Advisories: none of the packages, direct or indirect, has a known one."
