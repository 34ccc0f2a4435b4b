namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Computes the training images per second within a stage.</summary>
/// <param name="batchSize">Number of images per step; the last step of an epoch may have fewer.</param>
internal sealed class ImageRate(int batchSize)
{
    private FitStage? _stage;
    private long _before;

    /// <returns>Null at the first reported step of a stage, whose duration is unknown.</returns>
    public double? Update(FitProgress now)
    {
        long done = (now.Epoch - 1L) * now.Steps + now.Step;
        if (_stage != now.Stage)
            (_stage, _before) = (now.Stage, done);
        return done > _before && now.Elapsed > TimeSpan.Zero ? (done - _before) * batchSize / now.Elapsed.TotalSeconds : null;
    }
}
