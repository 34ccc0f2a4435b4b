using System.Collections.Concurrent;
using System.Linq.Expressions;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Maps names of the trainer's options to those on the command line, since the library's messages use the former.</summary>
internal static partial class TrainerOptionNames
{
    private static readonly ConcurrentDictionary<string, string> Names = new(StringComparer.Ordinal)
    {
        [nameof(DplTrainer.Options.Backbone)] = "--clip",
        [NameOf(options => options.Search.CandidateLengths)] = "--candidates",
        [NameOf(options => options.Search.Result)] = "--search-result",
        [NameOf(options => options.Training.ClassWeights)] = "--class-weights",
        [nameof(DplTrainer.Options.Configuration)] = "--configuration",
        [NameOf(options => options.Design.Average)] = "--average",
        [NameOf(options => options.Design.Context)] = "--context",
        [NameOf(options => options.Design.Context!.ClassSpecific)] = "--context-per-class",
        [NameOf(options => options.Design.Context!.Length)] = "--context",
        [NameOf(options => options.Design.Context!.Position)] = "--context-position",
        [NameOf(options => options.Design.Context!.Words)] = "--context-words",
        [NameOf(options => options.Design.Coupled)] = "--design coupled",
        [NameOf(options => options.Design.KgCoOp)] = "--regulariser kgcoop",
        [NameOf(options => options.Design.ProGrad)] = "--prograd",
        [NameOf(options => options.Design.PromptSrc)] = "--regulariser promptsrc",
        [NameOf(options => options.Design.Teacher)] = "--teacher",
        [NameOf(options => options.Design.Templates)] = "--templates",
        [NameOf(options => options.Compute.Device)] = "--device",
        [nameof(DplTrainer.Options.ExampleWeightColumnName)] = "--weight-column",
        [NameOf(options => options.Compute.FallbackToCpu)] = "--fallback-to-cpu",
        // MLContext has a property of this name, too.
        [nameof(MLContext.FallbackToCpu)] = "--fallback-to-cpu",
        [nameof(DplTrainer.Options.ModelContents)] = "--contents",
        [nameof(DplTrainer.Options.OnnxPrecision)] = "--onnx-precision",
        [NameOf(options => options.Compute.Precision)] = "--precision",
        [nameof(DplTrainer.Options.Seed)] = "--seed",
        [NameOf(options => options.Validation.Set)] = "--validation",
    };

    // Remedies that the library's messages suggest for code, and the equivalents on the command line.
    private static readonly (string ByCode, string Option)[] Ways =
    [
        ("call ClipBackbone.Open(folder).Register() before loading.", "name it with --clip."),
        ("(HF_TOKEN, the token file, or HubOptions.Token)", "(HF_TOKEN or the token file)"),
        ("or one saved with WithClip.", "or one fitted with --contents clip."),
        ("set Training.ClassWeights to Balanced", "give --class-weights balanced"),
        ("is not used for this. Download it first.", "is not used for this. Download it first with dpl backbone download."),
    ];

    /// <param name="property">Name of the trainer's option, see <see cref="TrainerOption.Name"/>.</param>
    /// <param name="option">The command-line option, including the hyphens.</param>
    public static void Add(string property, string option) => Names[property] = option;

    /// <summary>Replaces the trainer's option names in a message of the library by those of the command line; names in quotes or within a
    /// longer word stay.</summary>
    public static string InWords(string message) =>
        Word()
            .Replace(Ways.Aggregate(message, (text, way) => text.Replace(way.ByCode, way.Option, StringComparison.Ordinal)), match =>
                Names.TryGetValue(match.Value, out string? option) ? option : match.Value
            );

    private static string NameOf(Expression<Func<DplTrainer.Options, object?>> property) => TrainerOption.From(property).Name;

    [GeneratedRegex(@"(?<![\w'""/.\\-])(?:[A-Z][A-Za-z]+\.){0,2}[A-Z][A-Za-z]+(?![\w'""/\\-]|\.\w)")]
    private static partial Regex Word();
}
