using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>
/// The class texts of a fit: those that are trained with, from the template or around a learned context, and those without learned vectors
/// for the teacher and zero-shot CLIP. Owns the features it computes.
/// </summary>
internal sealed class FitTexts : IDisposable
{
    private readonly ClipBackbone _backbone;
    private readonly LabelClasses _classes;
    private readonly IReadOnlyList<string> _templates;
    private readonly Action _beforeEach;
    private readonly int[] _words;
    private readonly int[][][]? _templateTokens; // tokenised at once if there are templates, so that bad names are reported early
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

    /// <summary>[class][token or context vector], in the form that <see cref="ClassTexts"/> takes.</summary>
    public int[][] Tokens { get; }

    /// <summary>The context, with its length filled in; null without a context.</summary>
    public PromptContext? Context { get; }

    /// <summary>How the context is placed in a text; null without a context.</summary>
    public ContextLayout? Layout => Context is null ? null : new(Context.Length!.Value, Context.Position, Context.ClassSpecific);

    /// <summary>Whether the texts without learned vectors differ from <see cref="Tokens"/>.</summary>
    public bool HasOwnPlainTexts { get; }

    /// <summary>Tokenises the class names.</summary>
    /// <param name="backbone">The CLIP.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="settings">Settings of the fit.</param>
    /// <param name="warn">Receives warnings about names.</param>
    /// <param name="beforeEach">Called before each template's texts are computed; may cancel.</param>
    /// <exception cref="InvalidOperationException">Two names have the same tokens or a name has none, or the context's words do not match
    /// its length.</exception>
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
                $"The words '{asked.Words}' of Design.Context leave nothing for CLIP to read: give others, or only a Length."
            );
        if (asked.Words is not null && asked.Length is int length && length != words.Length)
            throw new InvalidOperationException(
                $"Design.Context begins with the words '{asked.Words}', which are {words.Length} tokens to CLIP, but should have {length} "
                    + "vectors: leave out its Length, or give other words."
            );
        PromptContext context = asked with { Length = asked.Length ?? (words.Length > 0 ? words.Length : PromptContext.DefaultLength) };
        int longest = ContextLayout.LongestOf(backbone.Config);
        if (context.Length > longest)
            throw new InvalidOperationException(
                $"Design.Context has {context.Length} vectors, but CLIP's {backbone.Config.ContextLength} tokens leave room for at most "
                    + $"{longest} beside a name: give fewer words, or a shorter Length."
            );
        var layout = new ContextLayout(context.Length!.Value, context.Position, context.ClassSpecific);
        return new(backbone, classes, settings, ClassTokens.WithContext(classes, layout, backbone, warn), words, context, warn, beforeEach);
    }

    /// <summary>The context at the beginning of a stage; null without a context. The caller owns it.</summary>
    /// <param name="shape">The towers and the seed.</param>
    /// <param name="initial">Distribution of the initial vectors, if they are not those of words.</param>
    /// <param name="purpose">Distinguishes these random numbers from others of the same seed.</param>
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

    /// <summary>The tower that computes features without prompts, with CLIP's own blocks.</summary>
    public TextTower Tower
    {
        get => _tower ?? throw new InvalidOperationException("The text tower is not known yet.");
        set => _tower = value;
    }

    /// <summary>
    /// [classes, embedding] unit rows: zero-shot CLIP's class features, with several templates the mean of normalised features. Owned by
    /// this object.
    /// </summary>
    public Tensor PlainFeatures() => _plain ??= Compute(normalizeEach: true).DetachFromDisposeScope();

    /// <summary>
    /// [classes, embedding] unit rows: the class features of the teacher. As in PromptSRC, features are averaged over templates without
    /// normalisation. In the caller's dispose scope.
    /// </summary>
    public Tensor TeacherFeatures() => Compute(normalizeEach: false);

    /// <summary>The texts of the templates, tokenised for another CLIP.</summary>
    public int[][][] ReadBy(ClipBackbone other) => ClassTokens.FromTemplates(_classes, _templates, other, _ => { });

    public void Dispose() => _plain?.Dispose();

    private Tensor Compute(bool normalizeEach)
    {
        using IDisposable allThreads = NativeThreads.LiftLimit();
        return TextEnsemble.UnitFeatures(Tower, _templateTokens ?? ReadBy(_backbone), normalizeEach, _beforeEach);
    }
}
