using System.Threading.RateLimiting;
using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>Shows which parts of an image are evidence for a class.</summary>
/// <param name="Class">The class.</param>
/// <param name="Rows">Number of patches from top to bottom.</param>
/// <param name="Columns">Number of patches from left to right.</param>
/// <param name="Relevance">Relevance of each patch, row by row, 0 to 1. The patches cover the central square of the image, the part that
/// CLIP sees.</param>
/// <param name="Image">The image with the heat map drawn over it, as a <c>data:</c> URL; large images are shrunk.</param>
internal sealed record HeatMap(string Class, int Rows, int Columns, IReadOnlyList<float> Relevance, string Image);

/// <summary>Draws heat maps. Each costs a few predictions and holds a decoded image in memory, so both the number drawn at a time and the
/// number of waiting requests are limited.</summary>
internal sealed class HeatMaps(IOptions<ClassifierOptions> options) : IDisposable
{
    private readonly ConcurrencyLimiter _turns = new(
        new ConcurrencyLimiterOptions { PermitLimit = options.Value.Workers, QueueLimit = options.Value.QueueLength }
    );

    /// <param name="model">The model whose classes are explained.</param>
    /// <param name="image">An encoded image file that the model has already decoded successfully.</param>
    /// <param name="className">One of the model's classes; null: the most probable one.</param>
    /// <param name="cancellationToken">Cancels the wait; drawing that has started is not interrupted.</param>
    /// <returns>Null if too many requests are already waiting.</returns>
    public async Task<HeatMap?> Draw(ServedModel model, byte[] image, string? className, CancellationToken cancellationToken)
    {
        using RateLimitLease turn = await _turns.AcquireAsync(1, cancellationToken);
        return turn.IsAcquired ? await Task.Run(() => model.Explain(image, className), cancellationToken) : null;
    }

    public void Dispose() => _turns.Dispose();
}
