using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The prompt design and the texts that stand for a class, as far as they differ from the plain method.</summary>
/// <param name="Summary">One-line summary.</param>
/// <param name="Context">The learned context in the texts of the classes; null without one.</param>
/// <param name="Templates">The templates whose text embeddings are averaged to class features; null for a single template or with a
/// context.</param>
/// <param name="TeacherTemplates">The templates whose text embeddings were averaged to the teacher's class features; null for a single
/// template or without a teacher.</param>
/// <param name="TaskResidual">The scale of the task residual; null without one.</param>
internal sealed record DesignResults(
    string Summary,
    ContextResults? Context,
    IReadOnlyList<string>? Templates,
    IReadOnlyList<string>? TeacherTemplates,
    double? TaskResidual = null
)
{
    /// <summary>Whether something is learned even if no layer has a prompt.</summary>
    [JsonIgnore]
    public bool LearnsBesidePrompts => Context is not null || TaskResidual is not null;

    /// <summary>Describes the design of a model, including the nearest words of its context; null if nothing differs from the plain
    /// method.</summary>
    /// <param name="model">A model that includes CLIP's text tower.</param>
    public static DesignResults? From(DplTransformer model) =>
        From(model.Design, model.Context, model.Templates) is { } design
            ? design with
            {
                Context = model.Context is { } context ? ContextResults.From(context, model) : null,
            }
            : null;

    /// <summary>Describes a design without looking up the nearest words of its context; null if nothing differs from the plain
    /// method.</summary>
    public static DesignResults? From(PromptDesign? design, PromptContext? context, IReadOnlyList<string>? templates) =>
        design is null && context is null && templates is null
            ? null
            : new DesignResults(
                SummaryOf(design, context, templates),
                context is null ? null : ContextResults.From(context),
                templates,
                design?.TeacherTemplates,
                design?.TaskResidual
            );

    /// <summary>Describes the design that the options of a search ask for; null if nothing differs from the plain method.</summary>
    public static DesignResults? From(DplTrainer.DesignOptions asked)
    {
        string[] parts =
        [
            .. asked.Coupled ? new[] { "coupled prompts" } : [],
            .. asked.TaskResidual is double scale ? new[] { FormattableString.Invariant($"task residual {scale}") } : [],
            .. asked.KgCoOp is { } kgCoOp ? new[] { FormattableString.Invariant($"KgCoOp {kgCoOp.Weight}") } : [],
            .. asked.PromptSrc is { } source
                ? new[] { FormattableString.Invariant($"PromptSRC {source.TextWeight} {source.ImageWeight} {source.LogitsWeight}") }
                : [],
            .. asked.ProGrad is { } proGrad ? new[] { FormattableString.Invariant($"ProGrad {proGrad.Weight} {proGrad.Temperature}") } : [],
            .. asked.Teacher is { } teacher ? new[] { $"teacher {teacher.Name}" } : [],
            .. asked.Context is { } context ? new[] { $"context: {ContextResults.Described(context)}" } : [],
            .. asked.Templates is { } templates ? new[] { TemplatesText.Named(templates) } : [],
        ];
        return parts.Length == 0
            ? null
            : new DesignResults(
                string.Join(", ", parts),
                asked.Context is null ? null : ContextResults.From(asked.Context),
                null,
                asked.Templates,
                asked.TaskResidual
            );
    }

    private static string SummaryOf(PromptDesign? design, PromptContext? context, IReadOnlyList<string>? templates) =>
        string.Join(
            ", ",
            [
                .. design is null ? [] : new[] { design.ToString() },
                .. context is null ? [] : new[] { $"context: {ContextResults.Described(context)}" },
                .. templates is null ? [] : new[] { $"class features of {TemplatesText.Named(templates)}" },
            ]
        );
}

/// <summary>A learned context.</summary>
/// <param name="Length">Number of vectors in each text; null: as many as the words have tokens.</param>
/// <param name="Position">Where the class name stands: end, middle or front.</param>
/// <param name="ClassSpecific">Whether every class has vectors of its own.</param>
/// <param name="Words">The words that initialised the vectors; null if they were drawn at random.</param>
/// <param name="VectorCount">Number of vectors of all classes together.</param>
/// <param name="Vectors">The first vectors with their nearest words; empty if these were not looked up.</param>
internal sealed record ContextResults(
    int? Length,
    string Position,
    bool ClassSpecific,
    string? Words,
    int VectorCount,
    IReadOnlyList<ContextVector> Vectors
)
{
    private const int MostVectors = 400,
        WordsEach = 5;

    /// <summary>Describes a context as it was asked for.</summary>
    public static ContextResults From(PromptContext context) =>
        new(context.Length, context.Position.ToString().ToLowerInvariant(), context.ClassSpecific, context.Words, 0, []);

    /// <summary>Describes a context as it was learned, with the nearest words of its vectors.</summary>
    public static ContextResults From(PromptContext context, DplTransformer model)
    {
        IReadOnlyList<PromptRowWords> rows = model.NearestContextWords(WordsEach);
        int length = context.Length ?? rows.Count;
        return From(context) with
        {
            VectorCount = rows.Count,
            Vectors =
            [
                .. rows.Take(MostVectors)
                    .Select(row => new ContextVector(
                        context.ClassSpecific ? model.ClassNames[row.Row / length] : null,
                        row.Row % length + 1,
                        [.. row.Words.Select(word => new NearbyWord(word.Word, word.Distance))]
                    )),
            ],
        };
    }

    /// <summary>One-line description.</summary>
    public static string Described(PromptContext context)
    {
        string Vectors(int? number) =>
            number switch
            {
                null => "one vector per token of its words",
                1 => "1 vector",
                _ => string.Create(CultureInfo.InvariantCulture, $"{number} vectors"),
            };
        string stand = context switch
        {
            { Position: ContextPosition.Front } => $"the class name, then {Vectors(context.Length)}",
            { Position: ContextPosition.Middle, Length: int length } => string.Create(
                CultureInfo.InvariantCulture,
                $"{Vectors(length / 2)}, the class name, then {length - length / 2}"
            ),
            { Position: ContextPosition.Middle } => $"{Vectors(null)}, around the class name",
            _ => $"{Vectors(context.Length)}, then the class name",
        };
        return $"{stand}; {(context.ClassSpecific ? "separate for each class" : "shared by the classes")}; "
            + (context.Words is null ? "initialised at random" : $"initialised with '{context.Words}'");
    }
}

/// <summary>A vector of a learned context.</summary>
/// <param name="Class">The class that the vector belongs to; null if all classes share it.</param>
/// <param name="Number">One-based position in its text.</param>
/// <param name="Words">The nearest words of CLIP's vocabulary, the nearest first.</param>
internal sealed record ContextVector(string? Class, int Number, IReadOnlyList<NearbyWord> Words);

/// <summary>A word near to a vector.</summary>
/// <param name="Text">The word; a trailing ellipsis means that another piece of a word follows.</param>
/// <param name="Distance">Euclidean distance between the embeddings.</param>
internal sealed record NearbyWord(string Text, double Distance);

/// <summary>One-line descriptions of templates.</summary>
internal static class TemplatesText
{
    /// <summary>The number of templates and the name of the set if it is a known one; a single template is quoted.</summary>
    public static string Named(IReadOnlyList<string> templates)
    {
        if (templates is [var only])
            return $"'{only}'";
        string number = string.Create(CultureInfo.InvariantCulture, $"{templates.Count} templates");
        return
            ClipTemplates.Names.FirstOrDefault(name => ClipTemplates.Named(name).SequenceEqual(templates, StringComparer.Ordinal))
                is { } known
            ? $"{number} ({known})"
            : number;
    }

    /// <summary>Like <see cref="Named"/>, but lists the first templates of an unknown set.</summary>
    public static string Listed(IReadOnlyList<string> templates)
    {
        const int most = 5;
        string named = Named(templates);
        return named.EndsWith(')') || templates.Count == 1
            ? named
            : $"{named}: {string.Join("; ", templates.Take(most))}{(templates.Count > most ? "; …" : "")}";
    }
}
