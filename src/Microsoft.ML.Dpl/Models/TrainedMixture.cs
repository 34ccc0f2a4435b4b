using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>
/// How the layers of a model mix prompts: each layer's attention is a weighted sum over all candidate prompts, including the one without a
/// prompt, with the weights that the search's alphas give them.
/// </summary>
public sealed class TrainedMixture
{
    /// <param name="candidateLengths">Prompt rows of each candidate, increasing from 0, at most
    /// <see cref="PromptConfiguration.MaximumLength"/> together.</param>
    /// <param name="textWeights">[text layer][candidate], non-negative; each layer's weights sum to 1 within 1e-4.</param>
    /// <param name="imageWeights">[image layer][candidate], with the same constraints.</param>
    /// <exception cref="ArgumentException">The lengths or weights violate these constraints, or a branch has no layers.</exception>
    public TrainedMixture(
        IReadOnlyList<int> candidateLengths,
        IReadOnlyList<IReadOnlyList<float>> textWeights,
        IReadOnlyList<IReadOnlyList<float>> imageWeights
    )
    {
        ArgumentNullException.ThrowIfNull(candidateLengths);
        CheckCandidates(candidateLengths);
        CandidateLengths = Array.AsReadOnly(candidateLengths.ToArray());
        TextWeights = Checked("text", textWeights, candidateLengths.Count);
        ImageWeights = Checked("image", imageWeights, candidateLengths.Count);
    }

    /// <summary>Prompt rows of each candidate, increasing from 0.</summary>
    public IReadOnlyList<int> CandidateLengths { get; }

    /// <summary>[text layer][candidate], 0 to 1.</summary>
    public IReadOnlyList<IReadOnlyList<float>> TextWeights { get; }

    /// <summary>[image layer][candidate], 0 to 1.</summary>
    public IReadOnlyList<IReadOnlyList<float>> ImageWeights { get; }

    /// <summary>The length of the candidate with the largest weight in each layer; the shorter one in a tie.</summary>
    internal PromptConfiguration Largest => PromptConfiguration.FromAlphas(CandidateLengths, new(TextWeights, ImageWeights));

    /// <summary>Total prompt rows of all candidates in a layer.</summary>
    internal int Rows => CandidateLengths.Sum();

    /// <summary>Both branches with these weights and the given rows, copied to a device. The caller owns them.</summary>
    internal BranchPair<MixtureBranch> Branches(PromptRows rows, Device device) =>
        new(
            Text: Branch(CandidateLengths, rows.Text, TextWeights, device),
            Image: Branch(CandidateLengths, rows.Image, ImageWeights, device)
        );

    /// <summary>One branch; see <see cref="Branches"/>.</summary>
    internal static MixtureBranch Branch(
        IReadOnlyList<int> candidates,
        IReadOnlyList<Tensor?> rows,
        IReadOnlyList<IReadOnlyList<float>> weights,
        Device device
    )
    {
        using Tensor values = NativeTensor.From([.. weights.SelectMany(layer => layer)], [weights.Count, candidates.Count]);
        return MixtureBranch.From(candidates, [.. rows.Select(layer => layer!)], values, device);
    }

    /// <exception cref="ArgumentException">The lengths do not increase from 0, or have too many rows in total.</exception>
    internal static void CheckCandidates(IReadOnlyList<int> candidateLengths)
    {
        MixtureBranch.CheckRowCount(candidateLengths);
        SupernetBranch.CheckCandidates(candidateLengths);
    }

    private static IReadOnlyList<IReadOnlyList<float>> Checked(string branch, IReadOnlyList<IReadOnlyList<float>> weights, int candidates)
    {
        if (weights is not { Count: > 0 })
            throw new ArgumentException($"The {branch} branch of a mixture needs the weights of at least one layer.");
        foreach (IReadOnlyList<float>? layer in weights)
        {
            if (layer?.Count != candidates)
                throw new ArgumentException($"A {branch} layer of the mixture has {layer?.Count ?? 0} weights of {candidates} candidates.");
            MixtureBranch.CheckWeights(layer);
        }
        return Array.AsReadOnly(weights.Select(layer => (IReadOnlyList<float>)Array.AsReadOnly(layer.ToArray())).ToArray());
    }
}
