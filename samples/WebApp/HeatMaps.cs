using System.Threading.RateLimiting;
using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>Which parts of an image speak for a class.</summary>
/// <param name="Class">The class.</param>
/// <param name="Rows">Patches from top to bottom.</param>
/// <param name="Columns">Patches from left to right.</param>
/// <param name="Relevance">Row by row, from 0 to 1. The patches cover the middle square of the image, which is what CLIP sees.</param>
/// <param name="Image">The image with the map drawn over it, as a data address; shrunk where it is large.</param>
internal sealed record HeatMap(string Class, int Rows, int Columns, IReadOnlyList<float> Relevance, string Image);

/// <summary>Draws heat maps, each of which costs a few predictions and a decoded image in memory: so few at a time, and a bounded number
/// waits.</summary>
internal sealed class HeatMaps(IOptions<ClassifierOptions> options) : IDisposable
{
    private readonly ConcurrencyLimiter _turns = new(
        new ConcurrencyLimiterOptions { PermitLimit = options.Value.Workers, QueueLimit = options.Value.QueueLength }
    );

    /// <param name="model">Whose classes are explained.</param>
    /// <param name="image">An encoded image file that the model could decode.</param>
    /// <param name="className">One of the model's; null: the most probable.</param>
    /// <param name="cancellationToken">An image whose request is cancelled before its turn is passed over.</param>
    /// <returns>Null where too many wait already.</returns>
    public async Task<HeatMap?> Draw(ServedModel model, byte[] image, string? className, CancellationToken cancellationToken)
    {
        using RateLimitLease turn = await _turns.AcquireAsync(1, cancellationToken);
        return turn.IsAcquired ? await Task.Run(() => model.Explain(image, className), cancellationToken) : null;
    }

    public void Dispose() => _turns.Dispose();
}
