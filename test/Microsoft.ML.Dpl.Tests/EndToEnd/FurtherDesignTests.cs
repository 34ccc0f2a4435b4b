using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Invalid prompt design options, and user-defined designs.</summary>
public sealed class FurtherDesignTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private protected override DplTrainer.Options Common => DesignFitTests.Short();

    [Fact]
    public void What_regularizers_add_does_not_look_like_a_training_that_failed()
    {
        // The robust recipe discards prompts whose loss exceeds zero-shot CLIP's; a heavy regulariser must not count towards it.
        void Heavy(DplTrainer.Options o)
        {
            (o.Training.Recipe, o.Configuration, o.Training.Epochs) = (
                TrainingRecipe.Robust,
                PromptConfiguration.Uniform(Small.Backbone, 2),
                6
            );
            o.Validation.RowsPerClass = null;
        }
        var plain = new ProgressRecorder();
        using DplTransformer free = Fit(o =>
        {
            Heavy(o);
            o.Progress = plain;
        });
        var kept = new ProgressRecorder();
        using DplTransformer heavy = Fit(o =>
        {
            Heavy(o);
            o.Progress = kept;
            o.Design.Regularizers.Add(new Constant());
        });
        // A constant has no gradient, so both fits take the same steps, and the losses reported exclude it.
        Assert.Equal(plain.Seen.Select(report => report.TrainLoss), kept.Seen.Select(report => report.TrainLoss));
        Assert.Equal(Scores(free), Scores(heavy));
    }

    [Fact]
    public void A_further_design_touches_nothing_else()
    {
        // A user-defined regulariser and a user-defined way of creating prompts.
        using DplTransformer transformer = Fit(o =>
        {
            o.Design.Regularizers.Add(new CentredFeatures(0.5));
            o.Design.Prompts = new RepeatedPrompts();
        });
        Assert.Equal("repeated", transformer.Design!.Prompts);
        Assert.Equal(["centred features 0.5"], transformer.Design.Regularizers);
        using DplTransformer loaded = Reloaded(transformer);
        Assert.Equal(Scores(transformer), Scores(loaded));
    }

    [Theory]
    [InlineData("Design.Context.Length")]
    [InlineData("Design.Context.Position")]
    [InlineData("Design.Context.Words")]
    [InlineData("Design.Templates")]
    [InlineData("Design.KgCoOp.Weight")]
    [InlineData("Design.PromptSrc.TextWeight")]
    [InlineData("Design.PromptSrc.ImageWeight")]
    [InlineData("Design.PromptSrc.LogitsWeight")]
    [InlineData("Design.ProGrad.Weight")]
    [InlineData("Design.ProGrad.Temperature")]
    [InlineData("Design.Teacher")]
    [InlineData("Configuration")]
    public void Bad_values_are_told_by_name(string option)
    {
        Action<DplTrainer.Options> bad = option switch
        {
            "Design.Context.Length" => o => o.Design.Context = new PromptContext { Length = 46 },
            "Design.Context.Position" => o => o.Design.Context = new PromptContext { Position = (ContextPosition)3 },
            "Design.Context.Words" => o => o.Design.Context = new PromptContext { Words = " " },
            "Design.Templates" => o => o.Design.Templates = ["a photo"],
            "Design.KgCoOp.Weight" => o => o.Design.KgCoOp = new KgCoOp { Weight = 0 },
            "Design.PromptSrc.TextWeight" => o => o.Design.PromptSrc = new PromptSrc { TextWeight = -1 },
            "Design.PromptSrc.ImageWeight" => o => o.Design.PromptSrc = new PromptSrc { ImageWeight = double.NaN },
            "Design.PromptSrc.LogitsWeight" => o => o.Design.PromptSrc = new PromptSrc { LogitsWeight = 1e39 },
            "Design.ProGrad.Weight" => o => o.Design.ProGrad = new ProGrad { Weight = 0 },
            "Design.ProGrad.Temperature" => o => o.Design.ProGrad = new ProGrad { Temperature = 0 },
            "Design.Teacher" => o => o.Design.Teacher = Small.Backbone,
            _ => o =>
            {
                o.Design.Coupled = true;
                o.Configuration = PromptConfiguration.Parse("text 1 2 | image 1 1 1");
            },
        };
        var e = Assert.ThrowsAny<ArgumentException>(() => Fit(bad));
        Assert.Contains(option, e.Message);
    }

    [Fact]
    public void Words_and_a_length_that_differ_are_told()
    {
        var e = Assert.Throws<InvalidOperationException>(() =>
            Fit(o => o.Design.Context = new PromptContext { Words = "a b", Length = 3 })
        );
        Assert.Contains("2 tokens", e.Message);
    }

    [Theory]
    [InlineData(0.07, 100, 7)]
    [InlineData(0.28, 100, 28)]
    [InlineData(0.14, 50, 7)]
    [InlineData(0.25, 10, 3)]
    [InlineData(0.01, 10, 1)]
    [InlineData(1, 10, 10)]
    public void The_last_share_is_rounded_up_to_whole_epochs(double share, int epochs, int last) =>
        Assert.Equal(
            Enumerable.Range(1, epochs).Select(epoch => epoch > epochs - last ? 1.0 : 0),
            Enumerable.Range(1, epochs).Select(epoch => EpochAverage.Last(share).Weights.At(epoch, epochs))
        );

    [Theory]
    [InlineData("gaussian", 0, 1)]
    [InlineData("gaussian", 1, 0)]
    [InlineData("exponential", 1, 1)]
    [InlineData("last", 0, 1)]
    public void Averages_out_of_range_are_told(string kind, double first, double second) =>
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            kind switch
            {
                "gaussian" => EpochAverage.Gaussian(first, second),
                "exponential" => EpochAverage.Exponential(first),
                _ => EpochAverage.Last(first),
            }
        );

    /// <summary>Adds 1,000 to every loss.</summary>
    private sealed record Constant : IRegularizer
    {
        public string Name => "constant";
        public string Numbers => "1000";
        public bool ComparesImages => false;
        public bool ComparesFeatures => true;

        public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights) => (teacher.Text.sum() * 0) + 1000;
    }

    /// <summary>Keeps the mean of the class features near the teacher's.</summary>
    private sealed record CentredFeatures(double Weight) : IRegularizer
    {
        public string Name => "centred features";
        public string Numbers => FormattableString.Invariant($"{Weight}");
        public bool ComparesImages => false;
        public bool ComparesFeatures => true;

        public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights) =>
            (student.Text.mean([0]) - teacher.Text.mean([0])).square().sum() * Weight;
    }

    /// <summary>Prompts whose rows all start with the same values.</summary>
    private sealed record RepeatedPrompts : IPromptDesign
    {
        private readonly IndependentPrompts _ordinary = new();

        public string Name => "repeated";

        public string? ProblemOf(PromptConfiguration configuration) => null;

        public long ParametersBeside(ClipConfig clip) => 0;

        public BranchPair<IFixedBranch> CreatePrompts(
            PromptConfiguration configuration,
            PromptShape shape,
            PromptDistribution initial,
            string purpose
        )
        {
            BranchPair<IFixedBranch> prompts = _ordinary.CreatePrompts(configuration, shape, initial, purpose);
            using var noGrad = no_grad();
            foreach (Tensor rows in prompts.ImageFirst.SelectMany(branch => branch.Parameters))
                rows.copy_(rows.narrow(0, 0, 1).clone().expand_as(rows));
            return prompts;
        }

        public BranchPair<SupernetBranch> CreateSupernet(
            IReadOnlyList<int> candidates,
            PromptShape shape,
            BranchPair<PromptDistribution> initial,
            bool nested,
            string purpose
        ) => _ordinary.CreateSupernet(candidates, shape, initial, nested, purpose);
    }
}
