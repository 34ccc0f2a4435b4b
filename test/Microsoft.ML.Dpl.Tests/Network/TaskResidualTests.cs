using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>Residual vectors added to the class features, checked against the formula and by their gradients.</summary>
public sealed class TaskResidualTests : IDisposable
{
    private const int Classes = 5,
        Batch = 3;
    private const double Scale = 3;

    private readonly IDisposable _scope = NewDisposeScope();
    private readonly RandomClip _clip = new(RandomClip.Shape(), seed: 31);
    private readonly Generator _generator = Seeds.Generator(6, "residual tests");
    private readonly int[][] _texts;
    private readonly FixedBranch _text,
        _image;

    public TaskResidualTests()
    {
        _texts = _clip.RandomTexts(Classes, 1, 4, seed: 3);
        _text = Fresh(_clip.Config.Text.Layers, _clip.Config.Text.Width);
        _image = Fresh(_clip.Config.Image.Layers, _clip.Config.Image.Width);

        FixedBranch Fresh(int layers, int width) =>
            FixedBranch.Create([.. Enumerable.Repeat(2, layers)], width, PromptDistribution.Normal(1), _generator, CPU);
    }

    private int Width => (int)_clip.Config.EmbeddingWidth;

    public void Dispose()
    {
        _text.Dispose();
        _image.Dispose();
        _generator.Dispose();
        _clip.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void As_training_begins_it_changes_nothing()
    {
        using TaskResidual residual = TaskResidual.Create(Classes, Width, Scale, CPU);
        (Tensor with, Tensor without) = (Logits(residual), Logits(null));
        Assert.Equal(0, (with - without).abs().max().item<float>(), 1e-5f);
    }

    /// <summary>The formula is unit(t + α · r / √embedding), computed in double precision, row by row.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Class_features_are_those_of_the_formula(bool byWorkers)
    {
        using var residual = new TaskResidual(randn(Classes, Width, generator: _generator), Scale, CPU);
        using ClipParts? parts = byWorkers ? ClipParts.Create(_clip.Text, _clip.Image, _texts, Batch) : null;
        using var texts = new ClassTexts(_texts, _clip.Text);
        using var tower = new ImageTower(_clip.Image);
        var clip = new PromptedClip(new TextTower(_clip.Text), tower, texts, parts);
        using Tensor plain = clip.ClassFeatures(_text),
            found = clip.ClassFeatures(new ResidualBranch(_text, residual));
        Assert.Equal(Expected(plain, residual.Values), [.. found.data<float>().Select(x => (double)x)], (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void Its_gradient_is_that_of_finite_differences()
    {
        Tensor values = randn(Classes, Width, generator: _generator);
        Tensor factors = randn(Batch, Classes, generator: _generator);
        using var residual = new TaskResidual(values, Scale, CPU);
        residual.Values.requires_grad_(true);
        (Logits(residual) * factors).sum().backward();
        Tensor gradient = residual.Values.grad!;
        const float step = 1e-2f;
        foreach (var (row, column) in new[] { (0, 0), (2, 1), (4, Width - 1) })
        {
            double At(float change)
            {
                using var noGrad = no_grad();
                using TaskResidual moved = new(values.clone(), Scale, CPU);
                moved.Values[row, column] += change;
                return (Logits(moved) * factors).to_type(ScalarType.Float64).sum().item<double>();
            }
            Assert.Equal((At(step) - At(-step)) / (2 * step), gradient[row, column].item<float>(), 2e-3);
        }
    }

    [Fact]
    public void Offsets_make_the_residual_that_adds_them()
    {
        using var residual = new TaskResidual(randn(Classes, Width, generator: _generator), Scale, CPU);
        using TaskResidual again = TaskResidual.From(residual.Offsets(), Scale, CPU);
        Assert.Equal(0, (again.Values - residual.Values).abs().max().item<float>(), 1e-6f);
        Assert.Equal(Scale, again.Scale);
    }

    private Tensor Logits(TaskResidual? residual)
    {
        using var texts = new ClassTexts(_texts, _clip.Text);
        using var tower = new ImageTower(_clip.Image);
        using var backward = new BackwardTensors();
        using Generator pixels = Seeds.Generator(7, "residual images");
        int size = _clip.Config.ImageSize;
        Tensor images = randn(Batch, 3, size, size, generator: pixels);
        return new PromptedClip(new TextTower(_clip.Text), tower, texts).Logits(
            images,
            new BranchPair<IPromptedBranch>(Text: _text.With(context: null, residual), Image: _image),
            backward
        );
    }

    private static double[] Expected(Tensor unit, Tensor values)
    {
        (int classes, int width) = ((int)unit.shape[0], (int)unit.shape[1]);
        (float[] t, float[] r) = ([.. unit.data<float>()], [.. values.data<float>()]);
        var expected = new double[t.Length];
        for (int c = 0; c < classes; c++)
        {
            double[] row = [.. Enumerable.Range(c * width, width).Select(i => t[i] + Scale * r[i] / Math.Sqrt(width))];
            double length = Math.Sqrt(row.Sum(x => x * x));
            for (int i = 0; i < width; i++)
                expected[c * width + i] = row[i] / length;
        }
        return expected;
    }
}
