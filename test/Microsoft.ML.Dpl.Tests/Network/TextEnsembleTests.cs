using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Tests.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

[Collection(RunsAlone.Name)]
public class TextEnsembleTests
{
    private const double Tolerance = 5e-5;

    public static TheoryData<string, string, string> Targets() => GoldenDesign.FilesWith("promptsrc", "output.target");

    public static TheoryData<string, string, string> Teachers() => GoldenDesign.FilesWith("kgcoop", "output.teacher_features");

    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(Targets))]
    public void PromptSrcs_teacher_is_the_mean_of_features_as_they_come(string design, string name, string file)
    {
        using var scope = NewDisposeScope();
        using var golden = new GoldenDesign(design, name, file);
        Tensor target = TextEnsemble.UnitFeatures(new TextTower(golden.Text), Templates(golden), normalizeEach: false);
        Close.Relative(golden["output.target"], target, Tolerance, "target");
        Tensor mean = golden["output.mean"];
        Close.Relative(mean / mean.norm(-1, keepdim: true, p: 2.0f), target, Tolerance, "normalised mean");
    }

    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(Targets))]
    public void CLIPs_ensemble_is_the_mean_of_unit_features(string design, string name, string file)
    {
        using var scope = NewDisposeScope();
        using var golden = new GoldenDesign(design, name, file);
        int[][][] texts = [.. Templates(golden).Take(12)];
        Tensor[] features = [.. texts.Select(classes => ByHand(golden.Text, classes))];
        Tensor expected = Unit(stack(features.Select(Unit)).mean([0]));
        var tower = new TextTower(golden.Text);
        Tensor ensemble = TextEnsemble.UnitFeatures(tower, texts, normalizeEach: true);
        Close.Relative(expected, ensemble, Tolerance, "ensemble");
        Assert.True(
            (ensemble - TextEnsemble.UnitFeatures(tower, texts, normalizeEach: false)).abs().max().item<float>() > 100 * Tolerance,
            "features that are normalised first have another mean"
        );
    }

    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(Targets))]
    public void PromptSrcs_templates_are_those_by_name(string design, string name, string file)
    {
        using var scope = NewDisposeScope();
        using var golden = new GoldenDesign(design, name, file);
        IReadOnlyList<string> templates = ClipTemplates.Named("promptsrc-60");
        Assert.Equal(templates.Count, golden.OfFile.GetProperty("templates").GetInt32());
        Assert.Equal(templates.Select(golden.Encode), Templates(golden).Select(Live));
    }

    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(Teachers))]
    public void KgCoOps_teacher_is_the_data_sets_template(string design, string name, string file)
    {
        using var scope = NewDisposeScope();
        using var golden = new GoldenDesign(design, name, file);
        int[][] texts = GoldenDesign.Rows(golden["input.teacher_tokens"]);
        IReadOnlyList<string> templates = ClipTemplates.Named(golden.OfFile.GetProperty("teacher_data_set").GetString()!);
        Assert.Equal([golden.OfFile.GetProperty("teacher_template").GetString()!], templates);
        Assert.Equal(golden.Encode(Assert.Single(templates)), Live(texts));
        foreach (bool normalizeEach in new[] { false, true })
            Close.Relative(
                golden["output.teacher_features"],
                TextEnsemble.UnitFeatures(new TextTower(golden.Text), [texts], normalizeEach),
                Tolerance,
                "teacher"
            );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Templates_of_any_lengths_and_beginnings_equal_the_naive_mean(bool normalizeEach)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 5);
        int[][][] texts = [clip.RandomTexts(4, 1, 6, seed: 1), clip.RandomTexts(4, 5, 2, seed: 2), clip.RandomTexts(4, 3, 9, seed: 3)];
        using var naive = new NaiveClip(clip, clip.Config);
        NaiveLayer[] plain = [.. Enumerable.Repeat(new NaiveLayer(zeros(1), [null]), clip.Config.Text.Layers)];
        Tensor[] features = [.. texts.Select(classes => naive.TextFeatures(classes, plain))];
        Tensor expected = Unit(stack(normalizeEach ? features.Select(Unit) : features).mean([0]));
        Tensor ensemble = TextEnsemble.UnitFeatures(new TextTower(clip.Text), texts, normalizeEach);
        Close.Relative(expected, ensemble, Tolerance, "ensemble");
        Close.Relative(ones(4), ensemble.norm(-1, keepdim: false, p: 2.0f), 1e-6, "lengths");
        Assert.False(ensemble.requires_grad);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_template_gives_the_bits_of_CLIPs_class_features(bool normalizeEach)
    {
        using var scope = NewDisposeScope();
        using var clip = new RandomClip(RandomClip.Shape(), seed: 6);
        int[][] texts = clip.RandomTexts(5, 3, 4, seed: 1);
        using var classTexts = new ClassTexts(texts, clip.Text);
        var tower = new TextTower(clip.Text);
        TensorAssert.BitEqual(
            tower.UnitFeatures(classTexts, new PlainBranch(clip.Text.Blocks.Count)),
            TextEnsemble.UnitFeatures(tower, [texts], normalizeEach)
        );
    }

    [Fact]
    public void An_ensemble_leaves_no_tensor_behind_also_where_it_is_ended()
    {
        using var clip = new RandomClip(RandomClip.Shape(), seed: 7);
        int[][][] texts = [.. Enumerable.Range(0, 4).Select(t => clip.RandomTexts(3, 2, 5, seed: t))];
        var tower = new TextTower(clip.Text);
        void Run()
        {
            int begun = 0;
            using (var scope = NewDisposeScope())
            {
                TextEnsemble.UnitFeatures(tower, texts, normalizeEach: true, () => begun++);
                Assert.Equal(4, begun);
                Assert.Equal(1, scope.DisposablesCount);
            }
            begun = 0;
            Assert.Throws<OperationCanceledException>(() => TextEnsemble.UnitFeatures(tower, texts, normalizeEach: false, () =>
                {
                    if (++begun == 3)
                        throw new OperationCanceledException();
                }));
        }
        Run();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 3; i++)
            Run();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);
    }

    [Fact]
    public void No_template_and_templates_of_different_classes_are_refused()
    {
        using var clip = new RandomClip(RandomClip.Shape(), seed: 8);
        var tower = new TextTower(clip.Text);
        Assert.Throws<ArgumentException>("texts", () => TextEnsemble.UnitFeatures(tower, [], normalizeEach: true));
        ArgumentException refused = Assert.Throws<ArgumentException>("texts", () =>
            TextEnsemble.UnitFeatures(tower, [clip.RandomTexts(3, 2, 5, 1), clip.RandomTexts(2, 2, 5, 1)], normalizeEach: true)
        );
        Assert.StartsWith("Template 1 has texts of 2 classes, but template 0 of 3", refused.Message);
    }

    /// <summary>[template][class][token], padded as in the file.</summary>
    private static int[][][] Templates(GoldenDesign golden)
    {
        Tensor tokens = golden["input.teacher_tokens"];
        return [.. GoldenDesign.Rows(tokens).Chunk((int)tokens.shape[1])];
    }

    /// <summary>Cuts the texts after their end token, which has the highest id.</summary>
    private static int[][] Live(int[][] texts) => [.. texts.Select(ids => ids[..(Array.IndexOf(ids, ids.Max()) + 1)])];

    /// <summary>The class features before normalisation, [classes, embedding], each class computed alone by the plain tower.</summary>
    private static Tensor ByHand(TextWeights weights, int[][] classes)
    {
        using var noGrad = no_grad();
        using var backward = new BackwardTensors();
        var rows = new List<Tensor>();
        foreach (int[] text in classes)
        {
            using var alone = new ClassTexts([text], weights);
            rows.Add(new TextTower(weights).Forward(alone, new LayerPrompt?[weights.Blocks.Count], backward));
        }
        return cat(rows, 0);
    }

    private static Tensor Unit(Tensor features) => features / features.square().sum(-1, keepdim: true).sqrt();
}
