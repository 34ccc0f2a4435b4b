#!/usr/bin/env bash
# Runs the built library in an application with newer packages than it was built with: the next ML.NET, and both SkiaSharp 3, which that asks for, and 4. Linux; half a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_UI_LANGUAGE=en DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
mlnet=6.0.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The lowest version that the library asks for.
version() { sed -n "s/.*Include=\"$1\" Version=\"\[\{0,1\}\([^\",]*\).*/\1/p" Directory.Packages.props; }
# What a release build of the samples has beside them.
built=$PWD/samples/QuickStart/bin/Release/net10.0
test -f "$built/Microsoft.ML.Dpl.dll" || dotnet build -c Release samples/QuickStart
packages=${NUGET_PACKAGES:-$HOME/.nuget/packages}
export DPL_LIBTORCH=$packages/libtorch-cpu-linux-x64/$(version libtorch-cpu-linux-x64)/runtimes/linux-x64/native

cat > "$work/app.csproj" <<EOF2
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <InvariantGlobalization>true</InvariantGlobalization>
  </PropertyGroup>
  <ItemGroup>
    <Reference Include="$built/Microsoft.ML.Dpl.dll" />
    <Reference Include="$built/Microsoft.ML.Dpl.TinyClip.dll" />
    <PackageReference Include="Google.Protobuf" Version="$(version Google.Protobuf)" />
    <PackageReference Include="Microsoft.ML" Version="$mlnet" />
    <PackageReference Include="Microsoft.ML.ImageAnalytics" Version="$mlnet" />
    <PackageReference Include="Microsoft.ML.Tokenizers" Version="$(version Microsoft.ML.Tokenizers)" />
    <PackageReference Include="System.Numerics.Tensors" Version="$(version System.Numerics.Tensors)" />
    <PackageReference Include="TorchSharp" Version="$(version TorchSharp)" />
    <PackageReference Include="SkiaSharp" Version="\$(Skia)" />
    <PackageReference Include="SkiaSharp.NativeAssets.Linux.NoDependencies" Version="\$(Skia)" />
  </ItemGroup>
</Project>
EOF2
cat > "$work/Program.cs" <<'EOF2'
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

// A fit with a search on images that ML.NET itself decodes, then all that a model does with them.
var mlContext = new MLContext(1);
Tile[] tiles = [.. from folder in Directory.GetDirectories(args[0]).Order() from file in Directory.GetFiles(folder).Order().Take(6) select new Tile { ImagePath = file, Label = Path.GetFileName(folder) }];
IDataView rows = mlContext.Data.LoadFromEnumerable(tiles);
ITransformer model = mlContext.Transforms.Conversion.MapValueToKey("Label")
    .Append(mlContext.Transforms.LoadImages("Image", null, "ImagePath"))
    .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(new DplTrainer.Options
    {
        Backbone = ClipBackbone.TinyDrawn, Search = { CandidateLengths = [0, 2], Epochs = 1 }, Validation = { RowsPerClass = 2 }, Training = { Steps = 2 },
    }))
    .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel")).Fit(rows);
mlContext.Model.SaveWhole(model, rows.Schema, args[1]);
DplTransformer transformer = ((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single();
using (MLImage image = transformer.ReadImage(tiles[0].ImagePath))
using (MLImage drawn = transformer.Explain(image).Draw(image))
    drawn.Save(args[1] + ".png");
float[] expected = model.Transform(rows).GetColumn<float[]>("Score").First();
using var engine = mlContext.Model.CreatePredictionEngine<Tile, Answer>(mlContext.Model.Load(args[1], out _));
float[] answer = engine.Predict(tiles[0]).Score;
if (expected.Zip(answer).Any(pair => Math.Abs(pair.First - pair.Second) > 1e-4)) throw new InvalidDataException("The loaded model answers otherwise.");
Console.WriteLine($"SkiaSharp {typeof(SkiaSharp.SKBitmap).Assembly.GetName().Version!.Major}: works");

class Tile { public string ImagePath { get; set; } = ""; public string Label { get; set; } = ""; }
class Answer { public float[] Score { get; set; } = []; }
EOF2
for skia in 3.119.4 4.155.0; do
  dotnet build "$work" -c Release -v quiet -p:Skia=$skia
  dotnet "$work/bin/Release/net10.0/app.dll" samples/data/eurosat "$work/model.zip" | tee "$work/output"
  grep -qx "SkiaSharp ${skia%%.*}: works" "$work/output"
  test -s "$work/model.zip.png"
done
echo "The library works with ML.NET $mlnet and SkiaSharp 3 and 4."
