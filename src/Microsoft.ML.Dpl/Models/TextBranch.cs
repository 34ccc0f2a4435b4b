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
    /// <param name="trained">Copied; stays the caller's.</param>
    /// <param name="classes">The new classes.</param>
    /// <param name="template">A class's text, with {} for its name.</param>
    /// <returns>The same prompts with the new classes' features. The caller owns it.</returns>
    /// <exception cref="ArgumentException">A name's text is too long for CLIP, or CLIP reads two names alike.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public TrainedPrompts Encode(TrainedPrompts trained, LabelClasses classes, string template)
        // Whoever gives names by hand can mend them at once, so what a fit only warns of is refused too.
        =>
        Encode(trained.Rows, trained.LogitScale, () => Tokens(classes, template, problem => throw new InvalidOperationException(problem)));

    /// <summary>Prompts around class names.</summary>
    /// <param name="prompts">Copied; they stay the caller's.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="template">A class's text, with {} for its name.</param>
    /// <param name="logitScale">The factor on cosine similarities; null: CLIP's own.</param>
    /// <param name="warn">Receives warnings of texts that are too long for CLIP and of names with control characters.</param>
    /// <returns>The prompts with the classes' features. The caller owns it.</returns>
    /// <exception cref="ArgumentException">Of a name nothing is left for CLIP to read, or it reads two alike.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public TrainedPrompts Encode(PromptRows prompts, LabelClasses classes, string template, double? logitScale, Action<string> warn) =>
        Encode(prompts, logitScale, () => Tokens(classes, template, warn));

    private TrainedPrompts Encode(PromptRows prompts, double? logitScale, Func<int[][]> read)
    {
        using var scope = NewDisposeScope();
        using Lease<TextWeights> weights = Rent("New classes need");
        int[][] tokens = read();
        using var texts = new ClassTexts(tokens, weights.Value);
        using ITrainedBranch branch = prompts.TextBranch(device);
        Tensor features = new TextTower(weights.Value).UnitFeatures(texts, branch);
        return new TrainedPrompts(prompts.Copy(), PromptRows.Copied(features)!, logitScale ?? weights.Value.LogitScale);
    }

    /// <summary>The vocabulary's tokens nearest to each prompt row of a layer.</summary>
    /// <param name="rows">[length, width]; stays the caller's.</param>
    /// <param name="count">Tokens per row, at least 1.</param>
    /// <param name="measure">What near means.</param>
    /// <returns>[length][count], the nearest first.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has fewer tokens.</exception>
    /// <exception cref="InvalidOperationException">The text tower cannot be read.</exception>
    public IReadOnlyList<IReadOnlyList<DistantWord>> Nearest(Tensor rows, int count, DplWordDistance measure)
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
                .Of(rows.to(device), weights.Value.TokenEmbedding, ids, count, measure)
                .Select(row => row.Select(near => Word(tokenizer, near)).ToArray()),
        ];
    }

    /// <summary>Names that were given by hand are an argument, not data.</summary>
    private int[][] Tokens(LabelClasses classes, string template, Action<string> warn)
    {
        try
        {
            return ClassTokens.Of(classes, template, backbone, warn);
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
            return backbone.RentText(device);
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
