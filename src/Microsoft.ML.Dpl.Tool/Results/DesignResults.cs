using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How prompts were made and trained, and what CLIP reads of a class, where that is not the plain method.</summary>
/// <param name="Summary">In one line.</param>
/// <param name="Context">The learned context in the texts of the classes; null without one.</param>
/// <param name="Templates">The texts whose mean the class features are; null: one template, or the context.</param>
/// <param name="TeacherTemplates">The texts whose mean the teacher's were; null: one template, or there was no teacher.</param>
/// <param name="TaskResidual">The factor of the task residual; null: there is none.</param>
internal sealed record DesignResults(
    string Summary,
    ContextResults? Context,
    IReadOnlyList<string>? Templates,
    IReadOnlyList<string>? TeacherTemplates,
    double? TaskResidual = null
)
{
    /// <summary>Whether something is learned where no layer has a prompt.</summary>
    [JsonIgnore]
    public bool LearnsBesidePrompts => Context is not null || TaskResidual is not null;

    /// <summary>Of a model: null where nothing differs from the plain method.</summary>
    /// <param name="model">With CLIP's text tower.</param>
    public static DesignResults? From(DplTransformer model) =>
        From(model.Design, model.Context, model.Templates) is { } design
            ? design with
            {
                Context = model.Context is { } context ? ContextResults.From(context, model) : null,
            }
            : null;

    /// <summary>The same without a context's words.</summary>
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

    /// <summary>As it was asked for, of a search.</summary>
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
/// <param name="Length">Vectors in each text.</param>
/// <param name="Position">Where the class name stands: end, middle or front.</param>
/// <param name="ClassSpecific">Whether every class has vectors of its own.</param>
/// <param name="Words">What they began with; null: they were drawn.</param>
/// <param name="VectorCount">All vectors of all classes.</param>
/// <param name="Vectors">The nearest words of the first of them; empty where they were not looked up.</param>
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

    /// <summary>As it was asked for.</summary>
    public static ContextResults From(PromptContext context) =>
        new(context.Length, context.Position.ToString().ToLowerInvariant(), context.ClassSpecific, context.Words, 0, []);

    /// <summary>As it was learned.</summary>
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

    /// <summary>In one line.</summary>
    public static string Described(PromptContext context)
    {
        string Vectors(int? number) =>
            number is null ? "as many vectors as its words have tokens" : string.Create(CultureInfo.InvariantCulture, $"{number} vectors");
        string stand = context switch
        {
            { Position: ContextPosition.Front } => $"the class name, then {Vectors(context.Length)}",
            { Position: ContextPosition.Middle, Length: int length } => string.Create(
                CultureInfo.InvariantCulture,
                $"{length / 2} vectors, the class name, then {length - length / 2}"
            ),
            { Position: ContextPosition.Middle } => $"{Vectors(null)}, around the class name",
            _ => $"{Vectors(context.Length)}, then the class name",
        };
        return $"{stand}; {(context.ClassSpecific ? "of each class its own" : "shared by the classes")}; "
            + (context.Words is null ? "drawn at the start" : $"at the start '{context.Words}'");
    }
}

/// <summary>A vector of a learned context.</summary>
/// <param name="Class">Whose it is; null: it is shared.</param>
/// <param name="Number">In its text, from 1.</param>
/// <param name="Words">Of CLIP's vocabulary, the nearest first.</param>
internal sealed record ContextVector(string? Class, int Number, IReadOnlyList<NearbyWord> Words);

/// <summary>A word near to a vector.</summary>
/// <param name="Text">The word; an ellipsis behind it means that another piece of a word follows.</param>
/// <param name="Distance">Euclidean, between embeddings.</param>
internal sealed record NearbyWord(string Text, double Distance);

/// <summary>Templates as a line names them.</summary>
internal static class TemplatesText
{
    /// <summary>By the name of a known set and their number, or one by itself.</summary>
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

    /// <summary>The same with a few of those that no set has.</summary>
    public static string Listed(IReadOnlyList<string> templates)
    {
        const int most = 5;
        string named = Named(templates);
        return named.EndsWith(')') || templates.Count == 1
            ? named
            : $"{named}: {string.Join("; ", templates.Take(most))}{(templates.Count > most ? "; …" : "")}";
    }
}
