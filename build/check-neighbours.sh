#!/usr/bin/env bash
# The packages beside other packages and in other kinds of application: Microsoft.ML.TorchSharp, ML.NET's ApplyOnnxModel, F#, a single file of C#, single-file and trimmed publishing. Linux; two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
unset CI  # the applications here have packages that are in none of this repository's locks
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
neighbour=0.23.1
version() { sed -n "s/.*Include=\"$1\" Version=\"\[\{0,1\}\([^\",]*\).*/\1/p" Directory.Packages.props; }
fallback=${NUGET_PACKAGES:-$HOME/.nuget/packages}
tile=$PWD/test/Microsoft.ML.Dpl.Tests/EndToEnd/SavedVersion1/01.png

for project in Microsoft.ML.Dpl Microsoft.ML.Dpl.Onnx Microsoft.ML.Dpl.OnnxRuntime Microsoft.ML.Dpl.TinyClip; do
  dotnet pack "src/$project" -c Release -v quiet -o "$work/packages"
done
ours=$(basename "$work"/packages/Microsoft.ML.Dpl.[0-9]*.nupkg .nupkg)
ours=${ours#Microsoft.ML.Dpl.}

# All that lies below has these: the packages from here, all others from where they were restored before.
cat > "$work/Directory.Build.props" <<EOF
<Project>
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
    <RestoreAdditionalProjectSources>$work/packages</RestoreAdditionalProjectSources>
    <RestorePackagesPath>$work/restored</RestorePackagesPath>
    <RestoreFallbackFolders>$fallback</RestoreFallbackFolders>
  </PropertyGroup>
</Project>
EOF
project() { # name, then packages as id@version
  mkdir -p "$work/$1"
  {
    echo '<Project Sdk="Microsoft.NET.Sdk"><ItemGroup>'
    for package in "${@:2}"; do echo "<PackageReference Include=\"${package%@*}\" Version=\"${package#*@}\" />"; done
    echo '</ItemGroup></Project>'
  } > "$work/$1/$1.csproj"
}
run() { # what is looked for in what a program says, then the program
  "${@:2}" | tee "$work/said"
  grep -qx "$1" "$work/said" || { echo "expected: $1" >&2; exit 1; }
}

# --- a model with its graph; that ML.NET's ApplyOnnxModel and plain ONNX Runtime take it is held by tests and by check-package.sh
project maker "Microsoft.ML.Dpl@$ours" "Microsoft.ML.Dpl.Onnx@$ours" "Microsoft.ML.Dpl.TinyClip@$ours" \
  "Microsoft.ML.TorchSharp@$neighbour" "libtorch-cpu-linux-x64@$(version libtorch-cpu-linux-x64)"
cat > "$work/maker/Program.cs" <<'EOF'
// A fit beside Microsoft.ML.TorchSharp, and what of TorchSharp that neighbour's binary asks for in vain.
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.TorchSharp;

LibTorchRuntime.Load();
var mlContext = new MLContext(1);
Tile[] tiles =
[
    .. from folder in Directory.GetDirectories(args[0]).Order()
       from image in Directory.GetFiles(folder).Order().Take(4)
       select new Tile { ImagePath = image, Label = Path.GetFileName(folder) },
];
IDataView rows = mlContext.Data.LoadFromEnumerable(tiles);
ITransformer model = mlContext.Transforms.Conversion.MapValueToKey("Label")
    .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(new DplTrainer.Options
    {
        Backbone = ClipBackbone.Tiny,
        ImageColumnName = "ImagePath",
        ModelContents = ModelContents.WithOnnx,
        Search = { CandidateLengths = [0, 2], Epochs = 1 },
        Validation = { RowsPerClass = 1 },
        Training = { Steps = 2 },
    }))
    .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
    .Fit(rows);
mlContext.Model.Save(model, rows.Schema, args[1]);
((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single().Contents = ModelContents.WithImageTower;
mlContext.Model.Save(model, rows.Schema, args[2]);
IDataView texts = mlContext.Data.LoadFromEnumerable(new[] { new { Text = "" } });
using ClipEmbeddingTransformer words = mlContext.Transforms
    .ClipTextEmbedding("Words", "Text", ClipBackbone.Tiny, new ClipTextEmbeddingOptions { CarryClip = true })
    .Fit(texts);
mlContext.Model.Save(words, texts.Schema, args[3]);
mlContext.MulticlassClassification.Trainers.TextClassification();
mlContext.MulticlassClassification.Trainers.ObjectDetection();
Console.WriteLine("beside it: a fit works, its trainers are constructed");

Assembly neighbour = typeof(TorchSharpCatalog).Assembly;
using var file = new PEReader(File.OpenRead(neighbour.Location));
MetadataReader reader = file.GetMetadataReader();
var missing = new SortedSet<string>();
foreach (MemberReferenceHandle handle in reader.MemberReferences)
{
    try
    {
        neighbour.ManifestModule.ResolveMember(MetadataTokens.GetToken(handle));
    }
    catch (MissingMemberException)
    {
        MemberReference member = reader.GetMemberReference(handle);
        TypeReference type = reader.GetTypeReference((TypeReferenceHandle)member.Parent);
        missing.Add($"{reader.GetString(type.Name)}.{reader.GetString(member.Name)}");
    }
    catch (ArgumentException)
    {
        // A member of a generic type, which cannot be looked up without its arguments.
    }
}
Console.WriteLine($"missing for it: {string.Join(", ", missing)}");

class Tile
{
    public string ImagePath { get; set; } = "";
    public string Label { get; set; } = "";
}
EOF
run "beside it: a fit works, its trainers are constructed" dotnet run -c Release --project "$work/maker" -- samples/data/eurosat "$work/graph.zip" "$work/tower.zip" "$work/words.zip"
# Which is why ObjectDetection cannot be trained. Another answer means another TorchSharp: then the guide has to be read again.
grep -qx "missing for it: functional.interpolate" "$work/said"

# --- the light runtime beside it, with the TorchSharp of NuGet's choice, another version, and none: the neighbour may have its own
cat > "$work/Predict.cs" <<'EOF'
using Microsoft.ML;
using Microsoft.ML.Data;

var mlContext = new MLContext(1);
ITransformer model = mlContext.Model.Load(args[0], out _);
if (args.Length == 1)
{
    IDataView texts = mlContext.Data.LoadFromEnumerable(new[] { new Words { Text = "a photo of a river." } });
    Console.WriteLine($"light: {model.Transform(texts).GetColumn<float[]>("Words").Count()} texts");
    return;
}
IDataView images = mlContext.Data.LoadFromEnumerable(args.Skip(1).Select(path => new Row { ImagePath = path }));
string[] labels = [.. model.Transform(images).GetColumn<string>("PredictedLabel")];
Console.WriteLine($"light: {labels.Length} labels");

class Row
{
    public string ImagePath { get; set; } = "";
    public string Label { get; set; } = "";
}

class Words
{
    public string Text { get; set; } = "";
}
EOF
light="light: 1 labels"
words="light: 1 texts" # of the program without images
project light "Microsoft.ML.Dpl.OnnxRuntime@$ours" "Microsoft.ML.TorchSharp@$neighbour"
sed 's/Model.Load(/Model.LoadWithOnnxRuntime(/' "$work/Predict.cs" > "$work/light/Program.cs"
for zip in graph tower; do run "$light" dotnet run -c Release --project "$work/light" -- "$work/$zip.zip" "$tile"; done
run "$words" dotnet run -c Release --project "$work/light" -- "$work/words.zip"
mkdir "$work/other"
echo '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Library</OutputType><AssemblyName>TorchSharp</AssemblyName><Version>0.102.7</Version></PropertyGroup></Project>' > "$work/other/other.csproj"
dotnet build "$work/other" -c Release -v quiet
built=$work/light/bin/Release/net10.0
cp "$work/other/bin/Release/net10.0/TorchSharp.dll" "$built/TorchSharp.dll"
for zip in graph tower; do run "$light" dotnet "$built/light.dll" "$work/$zip.zip" "$tile"; done
run "$words" dotnet "$built/light.dll" "$work/words.zip"
rm "$built/TorchSharp.dll"
for zip in graph tower; do run "$light" dotnet "$built/light.dll" "$work/$zip.zip" "$tile"; done
run "$words" dotnet "$built/light.dll" "$work/words.zip"

# --- F#
mkdir "$work/fsharp"
cat > "$work/fsharp/fsharp.fsproj" <<EOF
<Project Sdk="Microsoft.NET.Sdk">
  <ItemGroup>
    <Compile Include="Program.fs" />
    <PackageReference Include="Microsoft.ML.Dpl.OnnxRuntime" Version="$ours" />
  </ItemGroup>
</Project>
EOF
cat > "$work/fsharp/Program.fs" <<'EOF'
open Microsoft.ML
open Microsoft.ML.Data

[<CLIMutable>]
type Row = { ImagePath: string; Label: string }

[<EntryPoint>]
let main args =
    let mlContext = MLContext(seed = 1)
    let model, _ = mlContext.Model.Load args[0]
    let rows = [ for path in args[1..] -> { ImagePath = path; Label = "" } ]
    let labels = model.Transform(mlContext.Data.LoadFromEnumerable rows).GetColumn<string> "PredictedLabel"
    printfn $"F#: {Seq.length labels} labels"
    0
EOF
run "F#: 1 labels" dotnet run -c Release --project "$work/fsharp" -- "$work/graph.zip" "$tile"

# --- a single file of C#, which is published for native code unless it says otherwise
mkdir "$work/file"
{ echo "#:package Microsoft.ML.Dpl.OnnxRuntime@$ours"; echo "#:property PublishAot=false"; cat "$work/Predict.cs"; } > "$work/file/app.cs"
run "$light" dotnet run "$work/file/app.cs" -- "$work/graph.zip" "$tile"

# --- published as a single file, and trimmed
project single "Microsoft.ML.Dpl.OnnxRuntime@$ours"
cp "$work/Predict.cs" "$work/single/Program.cs"
publish() { dotnet publish "$work/single" -c Release -v quiet -r linux-x64 -p:PublishSingleFile=true -o "$work/$1" "${@:2}"; }
publish one --no-self-contained -p:IncludeNativeLibrariesForSelfExtract=true
run "$light" "$work/one/single" "$work/graph.zip" "$tile"
publish trimmed --self-contained -p:PublishTrimmed=true -p:TrimMode=partial -p:JsonSerializerIsReflectionEnabledByDefault=true \
  -p:SuppressTrimAnalysisWarnings=true
for zip in graph tower; do run "$light" "$work/trimmed/single" "$work/$zip.zip" "$tile"; done
run "$words" "$work/trimmed/single" "$work/words.zip"
du -sm "$work/one" "$work/trimmed" | sed "s|$work/||"
echo "The packages work beside Microsoft.ML.TorchSharp, in F#, in a file of C#, in a single file and trimmed."
