using System.CommandLine;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Tests.Options;

/// <summary>The options of prompt designs, from the command line to the trainer.</summary>
public sealed class DesignOptionsTests
{
    private static readonly TrainingOptions Training = new();

    [Fact]
    public void Without_them_the_trainer_has_its_defaults()
    {
        DplTrainer.DesignOptions design = Parsed().Design;
        Assert.False(design.Coupled);
        Assert.Null(design.Context);
        Assert.Null(design.Templates);
        Assert.Null(design.KgCoOp);
        Assert.Null(design.PromptSrc);
        Assert.Null(design.ProGrad);
        Assert.Null(design.Average);
        Assert.Null(design.Teacher);
    }

    [Theory]
    [InlineData(true, "--design", "coupled")]
    [InlineData(true, "--design", "Coupled")]
    [InlineData(false, "--design", "independent")]
    public void A_design_is_named(bool isCoupled, params string[] words) => Assert.Equal(isCoupled, Parsed(words).Design.Coupled);

    [Fact]
    public void A_context_has_a_length_or_words_a_position_and_owners()
    {
        Assert.Equal(new PromptContext { Length = 4 }, Parsed("--context", "4").Design.Context);
        Assert.Equal(
            new PromptContext { Words = "a photo of a", Position = ContextPosition.Middle },
            Parsed("--context-words", "a photo of a", "--context-position", "middle").Design.Context
        );
        Assert.Equal(
            new PromptContext
            {
                Length = 16,
                Position = ContextPosition.Front,
                ClassSpecific = true,
            },
            Parsed("--context", "16", "--context-position", "FRONT", "--context-per-class").Design.Context
        );
    }

    [Fact]
    public void Regularisers_add_up_and_have_the_weights_that_are_given()
    {
        DplTrainer.DesignOptions plain = Parsed("--regulariser", "kgcoop", "--regulariser", "promptsrc").Design;
        Assert.Equal(new KgCoOp(), plain.KgCoOp);
        Assert.Equal(new PromptSrc(), plain.PromptSrc);
        DplTrainer.DesignOptions weighted = Parsed("--regularizer", "KgCoOp:0.5", "--regulariser", "promptsrc:5,0").Design;
        Assert.Equal(new KgCoOp { Weight = 0.5 }, weighted.KgCoOp);
        Assert.Equal(
            new PromptSrc
            {
                TextWeight = 5,
                ImageWeight = 0,
                LogitsWeight = 1,
            },
            weighted.PromptSrc
        );
    }

    [Fact]
    public void ProGrad_needs_no_numbers()
    {
        Assert.Equal(new ProGrad(), Parsed("--prograd").Design.ProGrad);
        Assert.Equal(new ProGrad { Weight = 0.5 }, Parsed("--prograd", "0.5", "--design", "coupled").Design.ProGrad);
        Assert.Equal(new ProGrad { Weight = 0.5, Temperature = 2 }, Parsed("--prograd", "0.5,2").Design.ProGrad);
    }

    [Theory]
    [InlineData("gaussian", "gaussian 0.75 0.05")]
    [InlineData("gaussian:0.6", "gaussian 0.6 0.05")]
    [InlineData("gaussian:0.3,0.5", "gaussian 0.3 0.5")]
    [InlineData("exponential", "exponential 0.9")]
    [InlineData("exponential:0.5", "exponential 0.5")]
    [InlineData("last", "last 0.25")]
    [InlineData("Last:1", "last 1")]
    public void An_average_has_the_numbers_that_are_given_and_else_the_librarys(string given, string expected) =>
        Assert.Equal(expected, Parsed("--average", given).Design.Average!.ToString());

    [Fact]
    public void The_standard_numbers_of_averages_are_the_librarys()
    {
        Assert.Equal(EpochAverage.Gaussian().ToString(), Parsed("--average", "gaussian").Design.Average!.ToString());
        Assert.Equal(EpochAverage.Exponential().ToString(), Parsed("--average", "exponential").Design.Average!.ToString());
        Assert.Equal(EpochAverage.Last().ToString(), Parsed("--average", "last").Design.Average!.ToString());
    }

    [Fact]
    public void Templates_are_names_texts_or_both()
    {
        Assert.Equal(ClipTemplates.ImageNet, Parsed("--templates", "imagenet-80").Design.Templates);
        Assert.Equal(
            [.. ClipTemplates.Named("eurosat"), "a tile of {}.", "{} from above."],
            Parsed("--templates", "EuroSAT", "a tile of {}.", "--templates", "{} from above.").Design.Templates!
        );
    }

    /// <summary>Plain CLIP is the baseline for what is learned, so nothing is learned in it.</summary>
    [Fact]
    public void Of_a_design_zero_shot_has_the_templates_alone()
    {
        string[] words = ["--design", "coupled", "--context", "4", "--regulariser", "kgcoop", "--prograd", "--templates", "eurosat"];
        (DesignOptions group, ParseResult arguments) = Parse(words);
        var options = new DplTrainer.Options();
        group.Apply(arguments, options, ClipBackbone.TinyDrawn, " zero-shot ");
        Assert.Equal(ClipTemplates.Named("eurosat"), options.Design.Templates);
        Assert.False(options.Design.Coupled);
        Assert.Null(options.Design.Context);
        Assert.Null(options.Design.KgCoOp);
        Assert.Null(options.Design.ProGrad);
        Assert.Null(options.Design.Teacher);
        ClipBackbone teacher = ClipBackbone.TinyDrawn;
        group.Apply(arguments, options, teacher, "uniform:0");
        Assert.Equal(new PromptContext { Length = 4 }, options.Design.Context);
        Assert.Same(teacher, options.Design.Teacher);
    }

    [Fact]
    public void A_teacher_is_opened_as_the_CLIP_is()
    {
        (DesignOptions group, ParseResult arguments) = Parse("--teacher", "tiny-drawn", "--distillation-weight", "0.5");
        Check(group, arguments);
        Assert.Equal(ClipBackbone.TinyDrawn.Sha256, group.Teacher(arguments, CancellationToken.None)!.Sha256);
        (group, arguments) = Parse("--prograd");
        Assert.Null(group.Teacher(arguments, CancellationToken.None));
    }

    [Theory]
    [InlineData("--regulariser 'cocoop' is unknown: give one of kgcoop, promptsrc", "--regulariser", "cocoop")]
    [InlineData("--regulariser 'kgcoop:x': 'x' is not a number. Write it as in kgcoop:8.", "--regulariser", "kgcoop:x")]
    [InlineData("--regulariser 'kgcoop:': '' is not a number.", "--regulariser", "kgcoop:")]
    [InlineData("its weight must be above 0 and at most 3.4e+38; it is 0.", "--regulariser", "kgcoop:0")]
    [InlineData("its weight must be above 0", "--regulariser", "kgcoop:NaN")]
    [InlineData("its weight must be above 0", "--regulariser", "kgcoop:1e39")]
    [InlineData("its image weight must be at least 0", "--regulariser", "promptsrc:25,-1")]
    [InlineData("has 4 numbers, but promptsrc takes 3: text weight, image weight, logits weight", "--regulariser", "promptsrc:1,2,3,4")]
    [InlineData("names kgcoop twice", "--regulariser", "kgcoop", "--regularizer", "kgcoop:2")]
    [InlineData("--prograd 'photos': 'photos' is not a number. Write it as in --prograd 1,1.", "--prograd", "photos")]
    [InlineData("--prograd '1,0': its temperature must be above 0", "--prograd", "1,0")]
    [InlineData("--average 'mean' is unknown: give one of gaussian, exponential, last", "--average", "mean")]
    [InlineData("--average 'exponential:1': its decay must be above 0 and below 1; it is 1.", "--average", "exponential:1")]
    [InlineData("--average 'last:0': its share must be above 0 and at most 1; it is 0.", "--average", "last:0")]
    [InlineData("--average 'gaussian:0,1': its mean must be above 0", "--average", "gaussian:0,1")]
    [InlineData(
        "--templates 'photos' is neither a text with {} once, where the class name goes, nor one of imagenet-80",
        "--templates",
        "photos"
    )]
    [InlineData("--templates '{} and {}' is neither", "--templates", "{} and {}")]
    [InlineData("--templates gives 'A photo  of a {}.' twice", "--templates", "caltech101", "A photo  of a {}.")]
    [InlineData("--context must be at least 1; it is 0.", "--context", "0")]
    [InlineData("Give either --context or --context-words", "--context", "4", "--context-words", "a photo of a")]
    [InlineData("--context-words is empty", "--context-words", " _ ")]
    [InlineData("--context-position describes a context, but there is none", "--context-position", "end")]
    [InlineData("--context-per-class describes a context, but there is none", "--context-per-class")]
    [InlineData("--teacher is given, but nothing uses its probabilities", "--teacher", "tiny-drawn", "--regulariser", "kgcoop")]
    [InlineData("give --distillation-weight or --prograd with it", "--teacher", "tiny-drawn", "--distillation-weight", "0")]
    public void What_is_wrong_is_told_with_the_way_out(string part, params string[] words)
    {
        (DesignOptions group, ParseResult arguments) = Parse(words);
        Assert.StartsWith(part, Tail(Assert.Throws<ArgumentException>(() => Check(group, arguments)).Message, part));
    }

    [Fact]
    public void Zero_shot_learns_no_context_and_the_message_says_how_CoOp_is_asked_for()
    {
        (DesignOptions group, ParseResult arguments) = Parse("--context", "4");
        Assert.Contains("uniform:0", Assert.Throws<ArgumentException>(() => Check(group, arguments, "zero-shot")).Message);
        Check(group, arguments, "uniform:0");
    }

    [Fact]
    public void A_search_alone_averages_nothing_and_distils_nothing()
    {
        var group = new DesignOptions(trains: false);
        var command = new RootCommand();
        group.AddTo(command);
        Assert.NotEmpty(command.Parse(["--average", "last"]).Errors);
        ParseResult arguments = command.Parse(["--teacher", "tiny-drawn"]);
        Assert.Contains("give --prograd with it", Assert.Throws<ArgumentException>(() => group.Check(arguments, training: null)).Message);
    }

    [Theory]
    [InlineData("Design.Context.Length must be from 1 to 73; it is 100.", "--context must be from 1 to 73; it is 100.")]
    [InlineData("Configuration does not fit Design.Coupled: layer 0.", "--configuration does not fit --design coupled: layer 0.")]
    [InlineData("Design.Templates[1] is short.", "--templates[1] is short.")]
    [InlineData("Design.Teacher is set: set Training.DistillationWeight.", "--teacher is set: set --distillation-weight.")]
    public void The_librarys_messages_name_the_options(string said, string shown)
    {
        // Loading the training options registers their names.
        Assert.NotNull(Training);
        Assert.Equal(shown, TrainerOptionNames.InWords(said));
    }

    /// <summary>Bad values end the process before it looks at the data, which do not exist here.</summary>
    [Theory]
    [InlineData("--average 'mean' is unknown", "fit", "--average", "mean")]
    [InlineData("--design 'joint' is unknown: give one of independent, coupled.", "search", "--design", "joint")]
    [InlineData("--context must be at least 1", "train", "--context", "0", "--configuration", "uniform:2")]
    [InlineData("give --configuration uniform:0.", "train", "--context", "4", "--configuration", "zero-shot")]
    [InlineData("--templates 'x' is neither", "compare", "--templates", "x")]
    [InlineData("--templates 'x' is neither", "zeroshot", "--templates", "x")]
    [InlineData("Give either --template or --templates", "zeroshot", "--templates", "eurosat", "--template", "a {}")]
    public async Task Every_verb_refuses_bad_values_first(string part, string verb, params string[] words)
    {
        ToolProcess.Outcome outcome = (await ToolProcess.Run([verb, "nowhere", "--clip", "tiny-drawn", .. words])).Expect(2);
        Assert.Contains(part, outcome.Error);
        Assert.DoesNotContain("nowhere", outcome.Error);
        Assert.Empty(outcome.Output);
    }

    private static string Tail(string message, string part) =>
        message.IndexOf(part, StringComparison.Ordinal) is var at and >= 0 ? message[at..] : message;

    private static DplTrainer.Options Parsed(params string[] words)
    {
        (DesignOptions group, ParseResult arguments) = Parse(words);
        Assert.Empty(arguments.Errors);
        Check(group, arguments);
        var options = new DplTrainer.Options();
        group.Apply(arguments, options, teacher: null, ConfigurationArgument.Search);
        return options;
    }

    private static void Check(DesignOptions group, ParseResult arguments, string? configuration = null) =>
        group.Check(arguments, Training, configuration);

    private static (DesignOptions Group, ParseResult Arguments) Parse(params string[] words)
    {
        var group = new DesignOptions(trains: true);
        var command = new RootCommand();
        group.AddTo(command);
        Training.AddTo(command);
        return (group, command.Parse(words));
    }
}
