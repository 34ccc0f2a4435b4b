using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The operations of a trained model that need CLIP's text tower, which is rented for the duration of each call.</summary>
/// <param name="backbone">The CLIP that the prompts belong to.</param>
/// <param name="device">Where to compute.</param>
internal sealed class TextBranch(ClipBackbone backbone, Device device)
{
    /// <summary>Computes the features of other class names with trained prompts.</summary>
    /// <param name="trained">The trained prompts; copied, and still owned by the caller. Their task residual is kept only for names that
    /// they were trained with.</param>
    /// <param name="trainedClasses">The classes that the prompts were trained with.</param>
    /// <param name="classes">The new classes.</param>
    /// <param name="texts">The text that CLIP reads for a class.</param>
    /// <returns>The same prompts with the new classes' features. The caller owns the result.</returns>
    /// <exception cref="ArgumentException">A name has control characters or is empty for CLIP, its text is too long for CLIP, or two names
    /// give the same tokens.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public TrainedPrompts Encode(TrainedPrompts trained, IReadOnlyList<string> trainedClasses, LabelClasses classes, TextTemplates texts)
    {
        using PromptRows rows = trained.Rows.CopyFor(trainedClasses, classes.Names);
        // The caller chose these names and can correct them immediately, so problems that only cause a warning in Fit are errors here.
        return Encode(rows, classes, texts, trained.LogitScale, problem => throw new InvalidOperationException(problem));
    }

    /// <summary>Computes the features of class names with the given prompts.</summary>
    /// <param name="prompts">The prompts; copied, and still owned by the caller.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="texts">The text that CLIP reads for a class.</param>
    /// <param name="logitScale">The factor on cosine similarities; null for CLIP's own.</param>
    /// <param name="warn">Receives warnings about texts that are too long for CLIP and names with control characters.</param>
    /// <returns>The prompts with the classes' features. The caller owns the result.</returns>
    /// <exception cref="ArgumentException">A name is empty for CLIP, or two names give the same tokens.</exception>
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
        // Tokenize first, so that unusable names are reported before any tensor is created.
        int[][] tokens = Read(() =>
            prompts.Context is { Layout: { } layout }
                ? ClassTokens.WithContext(classes, layout, backbone, warn)
                : ClassTokens.Create(classes, texts.Template, backbone, warn)
        );
        return prompts.ClassFeatures(tower, tokens, device);
    }

    /// <summary>The vocabulary's tokens nearest to each prompt row of a layer.</summary>
    /// <param name="rows">[length, width]; still owned by the caller.</param>
    /// <param name="count">Tokens per row, at least 1.</param>
    /// <param name="measure">The distance measure.</param>
    /// <returns>[length][count], the nearest first.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public IReadOnlyList<IReadOnlyList<DistantWord>> Nearest(Tensor rows, int count, WordDistance measure)
    {
        using var scope = NewDisposeScope();
        using Lease<TextWeights> weights = Rent("Reading prompts as words needs");
        ClipTokenizer tokenizer = Tokenizer("Reading prompts as words needs");
        // A checkpoint may have more embeddings than there are tokens in its vocabulary.
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

    /// <summary>Reports unusable names as an <see cref="ArgumentException"/>, because here the caller passes them as an argument.</summary>
    private static T Read<T>(Func<T> tokens)
    {
        try
        {
            return tokens();
        }
        catch (InvalidOperationException e)
        {
            throw new ArgumentException($"New classes cannot be used: {e.Message}", e);
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

/// <summary>A token of the vocabulary in readable form.</summary>
/// <param name="Text">The token's text, without the end-of-word marker.</param>
/// <param name="EndsWord">Whether the token ends a word.</param>
/// <param name="Distance">Distance to the prompt row.</param>
internal sealed record DistantWord(string Text, bool EndsWord, float Distance);

/// <summary>The text that CLIP reads for a class when there is no learned context.</summary>
/// <param name="Template">The text, with {} for the name.</param>
/// <param name="Several">Templates whose features are averaged, instead of using <paramref name="Template"/>, if the text tower has no
/// prompts; null if there are none.</param>
internal sealed record TextTemplates(string Template, IReadOnlyList<string>? Several = null);
