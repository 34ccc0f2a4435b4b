#!/usr/bin/env bash
# Packs everything, then builds and runs a new application that has nothing but the library's packages, and installs and runs the tool: what a user of NuGet gets.
#   build/check-package.sh [prefix]      with another prefix for the packages' ids (the property PackagePrefix)
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
prefix=${1:-Microsoft.ML.Dpl}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for project in Microsoft.ML.Dpl Microsoft.ML.Dpl.Onnx Microsoft.ML.Dpl.OnnxRuntime Microsoft.ML.Dpl.TinyClip Microsoft.ML.Dpl.Tool; do dotnet pack "src/$project" -c Release -p:PackagePrefix="$prefix" -o "$work/packages"; done
version=$(basename "$work/packages/$prefix".[0-9]*.nupkg .nupkg)
version=${version#"$prefix".}
# What a gallery of packages shows of each: its icon, what changed, and how to begin.
for package in "$work/packages/"*.nupkg; do
  unzip -p "$package" '*.nuspec' > "$work/nuspec"
  for shown in '<icon>icon.png</icon>' '<readme>README.md</readme>' '<releaseNotes>CHANGELOG.md'; do
    grep -q "$shown" "$work/nuspec" || { echo "$(basename "$package") does not say $shown." >&2; exit 1; }
  done
  for file in icon.png README.md CHANGELOG.md; do unzip -p "$package" "$file" | cmp -s - /dev/null && { echo "$(basename "$package") lacks $file." >&2; exit 1; }; done
done
# No address is made up; the one property gives it to all.
for address in '' https://example.org/dpl; do
  for property in PackageProjectUrl RepositoryUrl; do
    for project in src/*/; do
      said=$(dotnet msbuild "$project" -getProperty:$property -p:ProjectUrl="$address")
      [ "$said" = "$address" ] || { echo "$project says the $property '$said' where ProjectUrl is '$address'." >&2; exit 1; }
    done
  done
done
libtorch=$(sed -n 's/.*Include="libtorch-cpu-linux-x64" Version="\([^"]*\)".*/\1/p' Directory.Packages.props)
onnxruntime=$(sed -n 's/.*Include="Microsoft.ML.OnnxRuntime" Version="\[\([^,]*\),.*/\1/p' Directory.Packages.props)
fallback=${NUGET_PACKAGES:-$HOME/.nuget/packages}

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
    <RestoreFallbackFolders>$fallback</RestoreFallbackFolders>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="$prefix" Version="$version" />
    <PackageReference Include="$prefix.Onnx" Version="$version" />
    <PackageReference Include="$prefix.TinyClip" Version="$version" />
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
Console.WriteLine($"{PromptConfiguration.Uniform(ClipBackbone.Tiny, 1)}; {LibTorchRuntime.Load()}");
var prompts = new ExportedPrompts { Text = new float[,]?[ClipBackbone.Tiny.Config.Text.Layers], Image = new float[,]?[ClipBackbone.Tiny.Config.Image.Layers], ClassNames = ["red", "green"], Template = "a photo of a {} thing." };
using DplTransformer transformer = mlContext.DifferentiablePromptModel(prompts, ClipBackbone.Tiny);
transformer.SaveAsOnnx(args[1], OnnxInput.Image);
transformer.Contents = ModelContents.WithOnnx;
mlContext.Model.Save(transformer, null, args[2]);
EOF
dotnet run --project "$work/app" -- "$work/no-clip" "$work/model.onnx" "$work/graph.zip" | tee "$work/output"
grep -q "text 2 4 | image 0 6; There is no file or folder" "$work/output"
grep -q "^text 1 .*; libtorch loaded" "$work/output"

# It reads the library's internals, so no other version of it will do.
grep -q "id=\"$prefix\" version=\"\[$version\(, $version\)\?\]\"" "$work/restored/${prefix,,}.onnx/$version/${prefix,,}.onnx.nuspec"
# An application that asks for a release beyond what was tried is told so when it restores.
for bounded in Microsoft.ML Microsoft.ML.ImageAnalytics SkiaSharp TorchSharp; do
  grep -q "id=\"$bounded\" version=\"\[[0-9.]*, [0-9.]*)\"" "$work/restored/${prefix,,}/$version/${prefix,,}.nuspec"
done

# The model needs ONNX Runtime and nothing of ours.
mkdir "$work/reader"
cat > "$work/reader/reader.csproj" <<EOF
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Microsoft.ML.OnnxRuntime" Version="$onnxruntime" />
  </ItemGroup>
</Project>
EOF
cat > "$work/reader/Program.cs" <<'EOF'
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

using var session = new InferenceSession(args[0]);
using var run = new RunOptions();
using OrtValue image = OrtValue.CreateTensorValueFromMemory(Enumerable.Repeat(new byte[] { 250, 0, 0 }, 40 * 60).SelectMany(pixel => pixel).ToArray(), [40, 60, 3]);
using var outputs = session.Run(run, ["image"], [image], ["probabilities"]);
string[] classes = JsonSerializer.Deserialize<string[]>(session.ModelMetadata.CustomMetadataMap["classes"])!;
Console.WriteLine(classes.Zip(outputs[0].GetTensorDataAsSpan<float>().ToArray()).MaxBy(pair => pair.Second).First);
EOF
dotnet run --project "$work/reader" -- "$work/model.onnx" | tee "$work/read"
grep -qx red "$work/read"

# An application without libtorch loads the zip as any other, and ONNX Runtime scores it.
mkdir "$work/light"
sed -e "/$prefix.Onnx\"/d" -e '/TinyClip/d' -e '/libtorch/d' -e "s/\"$prefix\"/\"$prefix.OnnxRuntime\"/" "$work/app/app.csproj" > "$work/light/light.csproj"
cat > "$work/light/Program.cs" <<'EOF'
using Microsoft.ML;
using Microsoft.ML.Data;

var mlContext = new MLContext(1);
ITransformer model = mlContext.Model.Load(args[0], out _);
IDataView images = mlContext.Data.LoadFromEnumerable(args.Skip(1).Select(path => new Row { Image = path }));
foreach (string label in model.Transform(images).GetColumn<string>("PredictedLabel"))
    Console.WriteLine($"{model.GetType().Name}: {label}");

class Row { public string Image { get; set; } = ""; }
EOF
dotnet run --project "$work/light" -- "$work/graph.zip" test/Microsoft.ML.Dpl.Tests/EndToEnd/SavedVersion1/01.png | tee "$work/lit"
grep -q "^DplOnnxTransformer: " "$work/lit"
test -z "$(find "$work/light/bin" -name 'libtorch_cpu*')"
grep -q "id=\"$prefix\" version=\"\[$version\(, $version\)\?\]\"" "$work/restored/${prefix,,}.onnxruntime/$version/${prefix,,}.onnxruntime.nuspec"

# The tool brings CLIP, libtorch, plots and the licences of all that it carries.
dotnet tool install "$prefix.Tool" --version "$version" --tool-path "$work/tools" --add-source "$work/packages"
mkdir -p "$work/photos/red" "$work/photos/green"
for copy in 1 2; do
  cp test/Microsoft.ML.Dpl.Tests/EndToEnd/SavedVersion1/01.png "$work/photos/red/$copy.png"
  cp test/Microsoft.ML.Dpl.Tests/EndToEnd/SavedVersion1/11.png "$work/photos/green/$copy.png"
done
"$work/tools/dpl" fit "$work/photos" --clip tiny --configuration uniform:1 --training-epochs 1 --output "$work/model.zip" --progress none
"$work/tools/dpl" inspect "$work/model.zip"
"$work/tools/dpl" onnx "$work/model.zip" --output "$work/tool.onnx"
grep -q "<svg" "$work/model.report.html"
content=$(dirname "$(find "$work/tools/.store" -name dpl.dll | head -n 1)")
test -f "$content/plots/ScottPlot.dll"
# Of this system alone, and without what only debuggers and compilers read.
others=$(find "$work/tools/.store" \( -name '*.dbg' -o -name 'libtorch*.xml' -o -name 'dpl.xml' -o -ipath '*/runtimes/win*' -o -ipath '*/runtimes/osx*' -o -ipath '*/runtimes/*arm64*' -o -ipath '*/runtimes/*musl*' \))
[ -z "$others" ] || { echo "The tool has what it cannot use here: $others" >&2; exit 1; }
# The package of the command's name is the same on every system, and names one for each.
unzip -p "$work/packages/$prefix.Tool.$version.nupkg" '*/DotnetToolSettings.xml' > "$work/settings"
for system in linux-x64 win-x64 osx-arm64; do grep -q "Id=\"$prefix.Tool.$system\"" "$work/settings" || { echo "$prefix.Tool does not name $system." >&2; exit 1; }; done
[ "$(stat -c %s "$work/packages/$prefix.Tool.$version.nupkg")" -lt 1000000 ]
# Every package in the list has its licence there, if it came with one.
sed -n 's/^| \([^ ]*\) | \([0-9][^ ]*\) |.*/\1 \2/p' THIRD-PARTY-NOTICES.md | sed 's/^libtorch-cpu-… /libtorch-cpu-linux-x64 /' > "$work/listed"
test -s "$work/listed"
while read -r id number; do
  # Natives of other systems are in the packages of those.
  case $id in *.NativeAssets.macOS | *.NativeAssets.Win32) continue ;; esac
  if [ -n "$(find "$fallback/${id,,}/$number" -maxdepth 2 \( -iname 'licen*' -o -iname '*notices*' \) -type f | head -n 1)" ] && [ -z "$(find "$content/licences" -ipath "*/licences/$id/$number/*" | head -n 1)" ]; then
    echo "The tool's package has no licence of $id $number." >&2
    exit 1
  fi
done < "$work/listed"
for package in "$work/restored/${prefix,,}/$version" "$work/restored/${prefix,,}.onnx/$version" "$work/restored/${prefix,,}.onnxruntime/$version" "$work/restored/${prefix,,}.tinyclip/$version" "$work/tools/.store/${prefix,,}.tool"/*/"${prefix,,}.tool"*/*; do
  cmp THIRD-PARTY-NOTICES.md "$package/THIRD-PARTY-NOTICES.md"
done
echo "The packages $prefix $version work in a new application, and the tool in a new folder."
