using System.CommandLine;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>How the prompts of the layers are parametrised.</summary>
internal enum PromptCoupling
{
    /// <summary>A separate matrix for each layer of each tower.</summary>
    Independent,

    /// <summary>Image prompts are linear functions of text prompts.</summary>
    Coupled,
}

/// <summary>The options for the prompt design: how prompts are parametrised, averaged over epochs, and regularised towards zero-shot
/// CLIP.</summary>
internal sealed class DesignOptions : OptionGroup
{
    private const string DistillationWeight = "--distillation-weight";

    private static readonly NumberedWord KgCoOp = new("kgcoop", WordNumber.AboveZero("weight", new KgCoOp().Weight)),
        PromptSrc =
            new(
                "promptsrc",
                WordNumber.AtLeastZero("text weight", new PromptSrc().TextWeight),
                WordNumber.AtLeastZero("image weight", new PromptSrc().ImageWeight),
                WordNumber.AtLeastZero("logits weight", new PromptSrc().LogitsWeight)
            ),
        ProGrad =
            new(
                "prograd",
                WordNumber.AboveZero("weight", new ProGrad().Weight),
                WordNumber.AboveZero("temperature", new ProGrad().Temperature)
            ),
        Exponential = new("exponential", new WordNumber("decay", 0.9, value => value is > 0 and < 1, "above 0 and below 1")),
        Last = new("last", new WordNumber("share", 0.25, value => value is > 0 and <= 1, "above 0 and at most 1")),
        Gaussian = new("gaussian", WordNumber.AboveZero("mean", 0.75), WordNumber.AboveZero("deviation", 0.05));

    private readonly ChoiceOption<PromptCoupling> _design = new(
        "--design",
        "How the layers' prompts are made: independent of each other, or coupled, where image prompts are linear functions of the text "
            + "prompts of the same layer, as in MaPLe.",
        PromptCoupling.Independent
    );
    private readonly Option<int?> _context = new("--context")
    {
        Description =
            "Number of learned vectors, at least 1, in the text of a class in place of the words around its name, as in CoOp. CoOp alone: "
            + "with --configuration uniform:0. Default: the text is that of --template.",
        HelpName = "number",
    };
    private readonly Option<string?> _contextWords = new("--context-words")
    {
        Description = "Like --context, but initialised with the words' embeddings, with one vector per token. Example: \"a photo of a\".",
        HelpName = "words",
    };
    private readonly ChoiceOption<ContextPosition> _contextPosition = new(
        "--context-position",
        "Position of the class name: at the end, after the context; in its middle; or in front of it. Default: end.",
        standard: null
    );
    private readonly Option<bool> _contextPerClass = new("--context-per-class")
    {
        Description = "Learns separate vectors for every class. Such a model cannot be given new classes.",
    };
    private readonly Option<string[]?> _regularisers = new("--regulariser", "--regularizer")
    {
        Description =
            "Keeps the prompted CLIP close to zero-shot CLIP; several can be combined. kgcoop: class features, with a weight; promptsrc: "
            + "class features, image features and probabilities, with a weight for each. Defaults: kgcoop:8 and promptsrc:25,10,1.",
        HelpName = "kgcoop|promptsrc",
    };
    private readonly Option<string?> _proGrad = new("--prograd")
    {
        Description =
            "Removes from every step what opposes zero-shot CLIP's probabilities (ProGrad): the share that is removed, and the "
            + "temperature. Default of the numbers: 1,1.",
        HelpName = "weight,temperature",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private readonly Option<string?> _average = new("--average")
    {
        Description =
            "Averages the prompts of all epochs of training. gaussian: by a bell curve over them, its mean and deviation as shares of the "
            + "epochs, gaussian:0.75,0.05; exponential: with a decay, exponential:0.9; last: of the last share of them, last:0.25.",
        HelpName = "gaussian|exponential|last",
    };
    private readonly TemplatesOption _templates = new(
        "Texts of a class whose features are averaged, for what prompts are kept close to, for zero-shot CLIP, and for the model where it "
            + "has no text prompt."
    );
    private readonly Option<string?> _teacher = new("--teacher")
    {
        Description =
            $"Another CLIP, such as a larger one, whose probabilities {DistillationWeight} and --prograd use. Default: that of --clip.",
        HelpName = "CLIP",
    };

    /// <param name="trains">Whether the command trains; a search alone averages no epochs and distils nothing.</param>
    public DesignOptions(bool trains)
    {
        _regularisers.CompletionSources.Add(KgCoOp.Word, PromptSrc.Word);
        _average.CompletionSources.Add(Gaussian.Word, Exponential.Word, Last.Word);
        _teacher.CompletionSources.Add(BackboneArgument.Names);
        Add(_design, (arguments, options) => options.Design.Coupled = _design.Read(arguments) == PromptCoupling.Coupled);
        Add(_context, (arguments, options) => options.Design.Context = Context(arguments));
        foreach (Option partOfContext in new Option[] { _contextWords, _contextPosition, _contextPerClass })
            Add(partOfContext, (_, _) => { });
        AddOptional(
            "--task-residual",
            "Factor, at least 0, of a learned vector beside the text feature of each class (TaskRes); 0: none. TaskRes alone: with "
                + "--configuration uniform:0. Default: 16; 0 with --recipe paper, and where no layer has a prompt.",
            options => options.Design.TaskResidual
        );
        Add(_regularisers, AddRegularisers);
        Add(_proGrad, (arguments, options) => options.Design.ProGrad = ProGradOf(arguments));
        if (trains)
            Add(_average, (arguments, options) => options.Design.Average = Average(arguments));
        Add(_templates, (arguments, options) => options.Design.Templates = _templates.Read(arguments));
        // Applied separately, since several fits share one open teacher: see Teacher.
        Add(_teacher, (_, _) => { });
    }

    /// <summary>Validates what needs neither data nor CLIP.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="training">The training options of the same command; null for a search alone.</param>
    /// <param name="configuration">The configuration of the fit, as given; null if there are several fits or only a search.</param>
    /// <exception cref="ArgumentException">A value is malformed or out of range, or two options contradict each other.</exception>
    public void Check(ParseResult arguments, TrainingOptions? training, string? configuration = null)
    {
        var asked = new DplTrainer.Options();
        Apply(arguments, asked);
        training?.Apply(arguments, asked);
        if (configuration is not null && ConfigurationArgument.IsZeroShot(configuration) && asked.Design.Context is not null)
            throw new ArgumentException(
                $"--configuration {ConfigurationArgument.ZeroShot} learns nothing, but a context does. For a context without deeper "
                    + "prompts, which is CoOp, give --configuration uniform:0."
            );
        if (configuration is not null && ConfigurationArgument.IsZeroShot(configuration) && asked.Design.TaskResidual > 0)
            throw new ArgumentException(
                $"--configuration {ConfigurationArgument.ZeroShot} learns nothing, but a task residual does. For a residual without "
                    + "prompts, which is TaskRes, give --configuration uniform:0."
            );
        if (arguments.GetValue(_teacher) is not null && asked.Training.DistillationWeight == 0 && asked.Design.ProGrad is null)
            throw new ArgumentException(
                "--teacher is given, but nothing uses its probabilities: give "
                    + $"{(training is null ? "" : $"{DistillationWeight} or ")}--prograd with it. Regularisers compare features, and those "
                    + "of two CLIPs cannot be compared."
            );
    }

    /// <summary>Sets the options from the command line; for zero-shot CLIP, which learns nothing, only the templates.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="options">The options of the fit.</param>
    /// <param name="teacher">See <see cref="Teacher"/>.</param>
    /// <param name="configuration">The configuration as the user gave it.</param>
    public void Apply(ParseResult arguments, DplTrainer.Options options, ClipBackbone? teacher, string configuration)
    {
        if (ConfigurationArgument.IsZeroShot(configuration))
        {
            options.Design.Templates = _templates.Read(arguments);
            return;
        }
        Apply(arguments, options);
        options.Design.Teacher = teacher;
    }

    /// <summary>Opens the teacher, downloading it if it is given by name and not in the cache; null if none is given.</summary>
    public ClipBackbone? Teacher(ParseResult arguments, CancellationToken cancellationToken) =>
        arguments.GetValue(_teacher) is { } named ? BackboneArgument.Resolve(named, cancellationToken: cancellationToken) : null;

    private PromptContext? Context(ParseResult arguments)
    {
        (int? length, string? words) = (arguments.GetValue(_context), arguments.GetValue(_contextWords));
        ContextPosition? position = _contextPosition.Find(arguments);
        bool perClass = arguments.GetValue(_contextPerClass);
        if (length is null && words is null)
            return position is null && !perClass
                ? null
                : throw new ArgumentException(
                    $"{(perClass ? _contextPerClass : (Option)_contextPosition).Name} describes a context, but there is none: give "
                        + "--context or --context-words with it."
                );
        if (length is not null && words is not null)
            throw new ArgumentException(
                "Give either --context or --context-words: a context that begins with words has one vector for each of their tokens."
            );
        if (length < 1)
            throw new ArgumentException($"--context must be at least 1; it is {length}.");
        if (words is not null && string.IsNullOrWhiteSpace(words.Replace('_', ' ')))
            throw new ArgumentException("--context-words is empty: give words such as \"a photo of a\", or a number with --context.");
        return new PromptContext
        {
            Length = length,
            Words = words,
            Position = position ?? default,
            ClassSpecific = perClass,
        };
    }

    private void AddRegularisers(ParseResult arguments, DplTrainer.Options options)
    {
        foreach (string text in arguments.GetValue(_regularisers) ?? [])
        {
            (NumberedWord word, double[] numbers) = NumberedWord.Read(_regularisers.Name, text, [KgCoOp, PromptSrc]);
            if (word == KgCoOp ? options.Design.KgCoOp is not null : options.Design.PromptSrc is not null)
                throw new ArgumentException($"{_regularisers.Name} names {word.Word} twice: give it once, with the weight it is to have.");
            if (word == KgCoOp)
                options.Design.KgCoOp = new KgCoOp { Weight = numbers[0] };
            else
                options.Design.PromptSrc = new PromptSrc
                {
                    TextWeight = numbers[0],
                    ImageWeight = numbers[1],
                    LogitsWeight = numbers[2],
                };
        }
    }

    private ProGrad? ProGradOf(ParseResult arguments)
    {
        if (arguments.GetResult(_proGrad) is null)
            return null;
        double[] numbers = ProGrad.ReadAlone(_proGrad.Name, arguments.GetValue(_proGrad));
        return new ProGrad { Weight = numbers[0], Temperature = numbers[1] };
    }

    private EpochAverage? Average(ParseResult arguments)
    {
        if (arguments.GetValue(_average) is not { } text)
            return null;
        (NumberedWord word, double[] numbers) = NumberedWord.Read(_average.Name, text, [Gaussian, Exponential, Last]);
        return word == Gaussian ? EpochAverage.Gaussian(numbers[0], numbers[1])
            : word == Exponential ? EpochAverage.Exponential(numbers[0])
            : EpochAverage.Last(numbers[0]);
    }
}
