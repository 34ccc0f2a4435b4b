using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>What CLIP reads of the classes in a fit: the template's texts, or those around a learned context, and the texts without any
/// prompt that the teacher and zero-shot CLIP go by. Owns the features it computed.</summary>
internal sealed class FitTexts : IDisposable
{
    private readonly ClipBackbone _backbone;
    private readonly LabelClasses _classes;
    private readonly IReadOnlyList<string> _templates;
    private readonly Action _beforeEach;
    private readonly int[] _words;
    private readonly int[][][]? _templateTokens; // read at once where there are templates, so that bad names are known at once
    private TextTower? _tower;
    private Tensor? _plain;

    private FitTexts(
        ClipBackbone backbone,
        LabelClasses classes,
        FitSettings settings,
        int[][] tokens,
        int[] words,
        PromptContext? context,
        Action<string> warn,
        Action beforeEach
    )
    {
        (_backbone, _classes, Tokens, _words, Context, _beforeEach) = (backbone, classes, tokens, words, context, beforeEach);
        _templates = settings.Design?.Templates ?? [settings.Template];
        _templateTokens = settings.Design?.Templates is null ? null : ClassTokens.FromTemplates(classes, _templates, backbone, warn);
        HasOwnPlainTexts = context is not null || settings.Design?.Templates is not null;
    }

    /// <summary>[class][token or context vector], as <see cref="ClassTexts"/> takes them.</summary>
    public int[][] Tokens { get; }

    /// <summary>The context with its length; null without one.</summary>
    public PromptContext? Context { get; }

    /// <summary>Where the context stands in a text; null without one.</summary>
    public ContextLayout? Layout => Context is null ? null : new(Context.Length!.Value, Context.Position, Context.ClassSpecific);

    /// <summary>Whether the texts without prompts are others than <see cref="Tokens"/>.</summary>
    public bool HasOwnPlainTexts { get; }

    /// <summary>Reads the classes' names with CLIP's vocabulary.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="settings">Of the fit.</param>
    /// <param name="warn">Receives warnings of names.</param>
    /// <param name="beforeEach">Called before each template's texts are computed; may cancel.</param>
    /// <exception cref="InvalidOperationException">CLIP reads two names alike or nothing of one, or the context's words and its length
    /// differ.</exception>
    public static FitTexts Read(ClipBackbone backbone, LabelClasses classes, FitSettings settings, Action<string> warn, Action beforeEach)
    {
        if (settings.Design?.Context is not { } asked)
            return new(
                backbone,
                classes,
                settings,
                ClassTokens.Create(classes, settings.Template, backbone, warn),
                [],
                null,
                warn,
                beforeEach
            );
        int[] words = asked.Words is { } given ? ClassTokens.FromWords(given, backbone) : [];
        if (asked.Words is not null && words.Length == 0)
            throw new InvalidOperationException(
                $"Of Design.Context's words '{asked.Words}' nothing is left for CLIP to read: give others, or a Length alone."
            );
        if (asked.Words is not null && asked.Length is int length && length != words.Length)
            throw new InvalidOperationException(
                $"Design.Context begins with the words '{asked.Words}', which are {words.Length} tokens to CLIP, but is to have "
                    + $"{length} vectors: leave out its Length, or give other words."
            );
        PromptContext context = asked with { Length = asked.Length ?? (words.Length > 0 ? words.Length : PromptContext.DefaultLength) };
        int longest = ContextLayout.LongestOf(backbone.Config);
        if (context.Length > longest)
            throw new InvalidOperationException(
                $"Design.Context has {context.Length} vectors, but CLIP's {backbone.Config.ContextLength} tokens leave room for a name "
                    + $"beside at most {longest}: give fewer words, or a shorter Length."
            );
        var layout = new ContextLayout(context.Length!.Value, context.Position, context.ClassSpecific);
        return new(backbone, classes, settings, ClassTokens.WithContext(classes, layout, backbone, warn), words, context, warn, beforeEach);
    }

    /// <summary>A context as a stage begins with it; null without one. The caller owns it.</summary>
    /// <param name="shape">What it is made for.</param>
    /// <param name="initial">Where vectors come from that do not begin with words.</param>
    /// <param name="purpose">Names the random numbers.</param>
    public InputContext? Fresh(PromptShape shape, PromptDistribution initial, string purpose)
    {
        if (Layout is not { } layout)
            return null;
        using var scope = NewDisposeScope();
        using Generator generator = shape.Generator($"{purpose} context");
        Tensor? words =
            _words.Length == 0
                ? null
                : Tower.Weights.TokenEmbedding.index_select(0, tensor(_words, ScalarType.Int64, device: shape.Device)).cpu();
        return InputContext.Create(layout, _classes.Count, shape.Clip.Text.Width, words, initial, generator, shape.Device);
    }

    /// <summary>The tower that computes features without prompts, by CLIP's own blocks.</summary>
    public TextTower Tower
    {
        get => _tower ?? throw new InvalidOperationException("The text tower is not known yet.");
        set => _tower = value;
    }

    /// <summary>[classes, embedding] unit rows: zero-shot CLIP's class features, the mean of normalised ones where there are several
    /// templates. Owned by this object.</summary>
    public Tensor PlainFeatures() => _plain ??= Compute(normalizeEach: true).DetachFromDisposeScope();

    /// <summary>[classes, embedding] unit rows: what class features are kept near to. As PromptSRC does, the mean is of features as they
    /// come. In the caller's dispose scope.</summary>
    public Tensor TeacherFeatures() => Compute(normalizeEach: false);

    /// <summary>The texts of the templates as another CLIP reads them.</summary>
    public int[][][] ReadBy(ClipBackbone other) => ClassTokens.FromTemplates(_classes, _templates, other, _ => { });

    public void Dispose() => _plain?.Dispose();

    private Tensor Compute(bool normalizeEach) =>
        TextEnsemble.UnitFeatures(Tower, _templateTokens ?? ReadBy(_backbone), normalizeEach, _beforeEach);
}
