using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>What a trained model can do only where CLIP's text tower is at hand; the tower is rented for the time of one call.</summary>
/// <param name="backbone">The CLIP that the prompts belong to.</param>
/// <param name="device">Where to compute.</param>
internal sealed class TextBranch(ClipBackbone backbone, Device device)
{
    /// <summary>The trained prompts around other class names.</summary>
    /// <param name="trained">Copied; stays the caller's. Of its task residual there is what belongs to names that it was trained
    /// with.</param>
    /// <param name="trainedClasses">Its classes.</param>
    /// <param name="classes">The new classes.</param>
    /// <param name="texts">What CLIP reads of a class.</param>
    /// <returns>The same prompts with the new classes' features. The caller owns it.</returns>
    /// <exception cref="ArgumentException">A name's text is too long for CLIP, or CLIP reads two names alike.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public TrainedPrompts Encode(TrainedPrompts trained, IReadOnlyList<string> trainedClasses, LabelClasses classes, TextTemplates texts)
    {
        using PromptRows rows = trained.Rows.CopyFor(trainedClasses, classes.Names);
        // Whoever gives names by hand can mend them at once, so what a fit only warns of is refused too.
        return Encode(rows, classes, texts, trained.LogitScale, problem => throw new InvalidOperationException(problem));
    }

    /// <summary>Prompts around class names.</summary>
    /// <param name="prompts">Copied; they stay the caller's.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="texts">What CLIP reads of a class.</param>
    /// <param name="logitScale">The factor on cosine similarities; null: CLIP's own.</param>
    /// <param name="warn">Receives warnings of texts that are too long for CLIP and of names with control characters.</param>
    /// <returns>The prompts with the classes' features. The caller owns it.</returns>
    /// <exception cref="ArgumentException">Of a name nothing is left for CLIP to read, or it reads two alike.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public TrainedPrompts Encode(PromptRows prompts, LabelClasses classes, TextTemplates texts, double? logitScale, Action<string> warn)
    {
        using var scope = NewDisposeScope();
        using Lease<TextWeights> weights = Rent("New classes need");
        using var noGrad = no_grad();
        Tensor features = TaskResidual.Add(Features(weights.Value, prompts, classes, texts, warn), prompts.ClassOffsets?.to(device));
        return new TrainedPrompts(prompts.Copy(), PromptRows.Copied(features)!, logitScale ?? weights.Value.LogitScale);
    }

    private Tensor Features(TextWeights weights, PromptRows prompts, LabelClasses classes, TextTemplates texts, Action<string> warn)
    {
        var tower = new TextTower(weights);
        if (prompts.HasPlainText && texts.Several is { } templates)
            return TextEnsemble.UnitFeatures(
                tower,
                Read(() => ClassTokens.FromTemplates(classes, templates, backbone, warn)),
                normalizeEach: true
            );
        // Names that cannot be read are known before anything is made.
        int[][] tokens = Read(() =>
            prompts.Context is { Layout: { } layout }
                ? ClassTokens.WithContext(classes, layout, backbone, warn)
                : ClassTokens.Create(classes, texts.Template, backbone, warn)
        );
        using var arranged = new ClassTexts(tokens, weights);
        using ITrainedBranch branch = prompts.TextBranch(device);
        if (prompts.Context is not { } context)
            return tower.UnitFeatures(arranged, branch);
        using var vectors = new InputContext(context.Layout, context.Vectors, device);
        return tower.UnitFeatures(arranged, new ContextBranch(branch, vectors));
    }

    /// <summary>The vocabulary's tokens nearest to each prompt row of a layer.</summary>
    /// <param name="rows">[length, width]; stays the caller's.</param>
    /// <param name="count">Tokens per row, at least 1.</param>
    /// <param name="measure">What near means.</param>
    /// <returns>[length][count], the nearest first.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public IReadOnlyList<IReadOnlyList<DistantWord>> Nearest(Tensor rows, int count, WordDistance measure)
    {
        using var scope = NewDisposeScope();
        using Lease<TextWeights> weights = Rent("Reading prompts as words needs");
        ClipTokenizer tokenizer = Tokenizer("Reading prompts as words needs");
        // A checkpoint may have more embeddings than its vocabulary has tokens.
        int[] ids = [.. Enumerable.Range(0, Math.Min(tokenizer.VocabularySize, backbone.Config.VocabularySize)).Where(tokenizer.Has)];
        if (count > ids.Length)
            throw new ArgumentOutOfRangeException(nameof(count), count, $"The vocabulary has only {ids.Length} tokens.");
        return
        [
            .. NearestTokens
                .Find(rows.to(device), weights.Value.TokenEmbedding, ids, count, measure)
                .Select(row => row.Select(near => Word(tokenizer, near)).ToArray()),
        ];
    }

    /// <summary>Names that were given by hand are an argument, not data.</summary>
    private static T Read<T>(Func<T> tokens)
    {
        try
        {
            return tokens();
        }
        catch (InvalidOperationException e)
        {
            throw new ArgumentException($"New classes cannot be taken: {e.Message}", e);
        }
    }

    private static DistantWord Word(ClipTokenizer tokenizer, (int Id, float Distance) near)
    {
        (string text, bool endsWord) = tokenizer.Read(near.Id);
        return new DistantWord(text, endsWord, near.Distance);
    }

    private Lease<TextWeights> Rent(string what)
    {
        try
        {
            return backbone.RentTextTower(device);
        }
        catch (IOException e)
        {
            throw new InvalidOperationException(
                $"{what} the text tower of the CLIP '{backbone.Name}', which cannot be read: {e.Message}",
                e
            );
        }
    }

    private ClipTokenizer Tokenizer(string what)
    {
        try
        {
            return backbone.CreateTokenizer();
        }
        catch (IOException e)
        {
            throw new InvalidOperationException(
                $"{what} the vocabulary of the CLIP '{backbone.Name}', which cannot be read: {e.Message}",
                e
            );
        }
    }
}

/// <summary>A token of the vocabulary as a person reads it.</summary>
/// <param name="Text">Without the mark of a word's end.</param>
/// <param name="EndsWord">Whether a word ends with it.</param>
/// <param name="Distance">To what it was compared with.</param>
internal sealed record DistantWord(string Text, bool EndsWord, float Distance);

/// <summary>What CLIP reads of a class where no learned context stands in its text.</summary>
/// <param name="Template">The text, with {} for the name.</param>
/// <param name="Several">Templates whose features are averaged in its place where the text tower has no prompt; null: there are
/// none.</param>
internal sealed record TextTemplates(string Template, IReadOnlyList<string>? Several = null);
