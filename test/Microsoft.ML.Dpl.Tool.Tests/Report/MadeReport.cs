using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>Builds reports of searches that never ran, which the library has no public way to do.</summary>
internal static class MadeReport
{
    private static readonly JsonSerializerOptions WithNaN = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <param name="candidates">Prompt lengths, increasing from 0.</param>
    /// <param name="epochs">The epochs, with the alphas of both branches, [layer][candidate].</param>
    public static SearchReport Create(int[] candidates, params Epoch[] epochs) =>
        JsonSerializer.Deserialize<SearchReport>(
            JsonSerializer.Serialize(new { CandidateLengths = candidates, Epochs = epochs }, WithNaN),
            WithNaN
        )!;

    /// <summary>One epoch, see <see cref="SearchEpoch"/>.</summary>
    internal sealed record Epoch(double LearningRate, double TrainLoss, double ValidationLoss, float[][] TextAlphas, float[][] ImageAlphas);
}
