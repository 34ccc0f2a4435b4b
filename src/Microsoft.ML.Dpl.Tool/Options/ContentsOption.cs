using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The option for the parts of CLIP that a model zip contains.</summary>
internal sealed class ContentsOption
{
    private const string Prompts = "prompts",
        ImageTower = "image-tower",
        Clip = "clip",
        Onnx = "onnx";

    private readonly Option<string> _contents;

    /// <param name="isForAnyMachine">Whether the default is a zip that predicts without CLIP's folder.</param>
    public ContentsOption(bool isForAnyMachine) =>
        _contents = new Option<string>("--contents")
        {
            Description =
                "What the model zip holds: image-tower (predicts on any machine, without CLIP's folder; some 330 MiB for ViT-B/16), "
                + "prompts (a few hundred KiB; CLIP must be at hand for prediction), clip (all of it, so that the classes can be changed "
                + "after loading) or onnx (prompts and a graph, with which an application without libtorch predicts).",
            DefaultValueFactory = _ => isForAnyMachine ? ImageTower : Prompts,
        }.AcceptOnlyFromAmong(Prompts, ImageTower, Clip, Onnx);

    private readonly ChoiceOption<OnnxPrecision> _precision = PrecisionOption("--onnx-precision", " Of --contents onnx.");

    public void AddTo(System.CommandLine.Command command)
    {
        command.Options.Add(_contents);
        command.Options.Add(_precision);
    }

    /// <summary>Checks that a precision is given only for a zip with a graph.</summary>
    /// <exception cref="ArgumentException">The zip has no graph.</exception>
    public void Check(ParseResult arguments)
    {
        if (arguments.GetRequiredValue(_contents) != Onnx)
            arguments.RefuseGiven($"is for the graph of {_contents.Name} {Onnx}: give both, or leave it out.", _precision);
    }

    /// <summary>Refuses both options where no model is written.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="rest">The rest of the message after the option's name.</param>
    /// <exception cref="ArgumentException">One of the options was given.</exception>
    public void Refuse(ParseResult arguments, string rest) => arguments.RefuseGiven(rest, _contents, _precision);

    /// <summary>The precision of the graph.</summary>
    public OnnxPrecision ReadPrecision(ParseResult arguments) => _precision.Read(arguments);

    /// <summary>Creates an option for the precision of a graph.</summary>
    /// <param name="name">The option's name.</param>
    /// <param name="of">Text appended to the description.</param>
    public static ChoiceOption<OnnxPrecision> PrecisionOption(string name, string of) =>
        new(
            name,
            "float32; float16: weights of half the size, as fast; int8: a quarter of the size, faster on processors with VNNI, scores "
                + "that differ a little."
                + of,
            OnnxPrecision.Float32
        );

    public ModelContents Read(ParseResult arguments) =>
        arguments.GetRequiredValue(_contents) switch
        {
            ImageTower => ModelContents.WithImageTower,
            Clip => ModelContents.WithClip,
            Onnx => ModelContents.WithOnnx,
            _ => ModelContents.PromptsOnly,
        };
}
