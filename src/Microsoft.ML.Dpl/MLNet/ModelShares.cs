namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Who still uses a model: whoever made it has one share, and each prediction engine another, which disposes the model with itself
/// and does not say that it is an engine. Thread-safe.</summary>
internal sealed class ModelShares
{
    private readonly object _sharing = new();
    private int _shares = 1; // 0: disposed

    /// <summary>For one more engine; without effect on a model that was disposed.</summary>
    public void Take()
    {
        lock (_sharing)
        {
            if (_shares > 0)
                _shares++;
        }
    }

    /// <summary>Gives one share back.</summary>
    /// <returns>Whether it was the last, once: the model is to be freed.</returns>
    public bool GiveBack()
    {
        lock (_sharing)
            return _shares > 0 && --_shares == 0;
    }
}
