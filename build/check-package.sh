#!/usr/bin/env bash
# Packs the library, then builds and runs a new application that has nothing but the package: what a user of NuGet gets.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

dotnet pack src/Microsoft.ML.Dpl -c Release -o "$work/packages"
version=$(basename "$work"/packages/Microsoft.ML.Dpl.[0-9]*.nupkg .nupkg)
version=${version#Microsoft.ML.Dpl.}
libtorch=$(sed -n 's/.*Include="libtorch-cpu-linux-x64" Version="\([^"]*\)".*/\1/p' Directory.Packages.props)

mkdir "$work/app"
cat > "$work/app/app.csproj" <<EOF
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <RestoreAdditionalProjectSources>$work/packages</RestoreAdditionalProjectSources>
    <RestorePackagesPath>$work/restored</RestorePackagesPath>
    <RestoreFallbackFolders>${NUGET_PACKAGES:-$HOME/.nuget/packages}</RestoreFallbackFolders>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.ML.Dpl" Version="$version" />
    <PackageReference Include="libtorch-cpu-linux-x64" Version="$libtorch" />
  </ItemGroup>
</Project>
EOF
cat > "$work/app/Program.cs" <<'EOF'
using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

var mlContext = new MLContext(1);
try
{
    mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(ClipBackbone.Open(args[0]));
}
catch (FileNotFoundException e)
{
    Console.WriteLine($"{PromptConfiguration.Parse("text 2 4 | image 0 6")}; {e.Message}");
}
EOF
dotnet run --project "$work/app" -- "$work/no-clip" | tee "$work/output"
grep -q "text 2 4 | image 0 6; There is no file or folder" "$work/output"
echo "The package $version works in a new application."
