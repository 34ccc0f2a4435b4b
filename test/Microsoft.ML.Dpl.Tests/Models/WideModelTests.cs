using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Models whose image tower is wide enough to predict with packed matrices.</summary>
[Collection(RunsAlone.Name)]
public sealed class WideModelTests(ColourImages images) : IClassFixture<ColourImages>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [SkippableFact]
    public void Models_of_one_CLIP_share_a_packed_copy_and_the_last_one_frees_it()
    {
        Skip.IfNot(FusedOperators.IsAvailable, "these operators are used on x64 Linux alone");
        SmallBackbone.Write(_folder.FullPath, seed: 3, RandomClip.Shape(24, patch: 8, imageWidth: 256, imageHeads: 4));
        HuggingFaceFolder.WritePreprocessor(_folder.FullPath, 24);
        ClipBackbone backbone = ClipBackbone.FromFolder(_folder.FullPath);
        string[] paths = [.. images.Test.Select(image => Path.Combine(images.Folder, image.ImagePath))];
        float[][] expected,
            first,
            second;
        PredictAll(out _, out _, out _);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        PredictAll(out expected, out first, out second);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
        Assert.Equal(first, second);
        for (int i = 0; i < paths.Length; i++)
        for (int k = 0; k < expected[i].Length; k++)
            Assert.Equal(expected[i][k], first[i][k], 1e-5f);

        void PredictAll(out float[][] plain, out float[][] packed, out float[][] alone)
        {
            using DplTransformer other = Model(backbone);
            using (DplTransformer model = Model(backbone))
            {
                packed = Scores(model);
                _ = Scores(other);
                PackedTower copy = model.Use(classifier => classifier.Tower.Packed!()!);
                Assert.Same(copy, other.Use(classifier => classifier.Tower.Packed!()));
                model.Use(classifier => classifier.Tower.Packed = null);
                plain = Scores(model);
            }
            // The copy outlives the model that made it.
            alone = Scores(other);
        }

        float[][] Scores(DplTransformer model) => [.. paths.Select(path => model.Predict(path).Scores.ToArray())];
    }

    private static DplTransformer Model(ClipBackbone backbone)
    {
        var rows = new float[3, 256];
        for (int i = 0; i < rows.Length; i++)
            rows[i / 256, i % 256] = (float)Math.Sin(i);
        return new MLContext(1).DifferentiablePromptModel(
            new ExportedPrompts
            {
                Text = new float[,]?[2],
                Image = [null, rows, rows],
                ClassNames = ["red", "green", "blue"],
            },
            backbone,
            "ImagePath"
        );
    }
}
