namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Training images a second within a stage.</summary>
/// <param name="batchSize">Images a step; an epoch's last step may have fewer.</param>
internal sealed class ImageRate(int batchSize)
{
    private FitStage? _stage;
    private long _before;

    /// <returns>Null at the first step seen of a stage, whose time is not known.</returns>
    public double? Update(FitProgress now)
    {
        long done = (now.Epoch - 1L) * now.Steps + now.Step;
        if (_stage != now.Stage)
            (_stage, _before) = (now.Stage, done);
        return done > _before && now.Elapsed > TimeSpan.Zero ? (done - _before) * batchSize / now.Elapsed.TotalSeconds : null;
    }
}
