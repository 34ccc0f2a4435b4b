using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>A data view whose columns were found.</summary>
/// <param name="View">The rows.</param>
/// <param name="Image">The images.</param>
/// <param name="Label">The classes.</param>
/// <param name="Weight">How much each row's loss counts; null: all alike.</param>
internal sealed record LabelledData(IDataView View, ImageColumn Image, LabelColumn Label, WeightColumn? Weight = null);

/// <summary>What a fit learns from.</summary>
/// <param name="Train">Training rows.</param>
/// <param name="Validation">Validation rows, or null.</param>
/// <param name="SkipUnreadable">Leave out images that cannot be read, instead of failing at the first.</param>
internal sealed record FitData(LabelledData Train, LabelledData? Validation, bool SkipUnreadable);

/// <summary>The images of a fit in memory.</summary>
/// <param name="Cache">Images to crop from: those of the training rows and, where a refit follows, those of the validation rows.</param>
/// <param name="Labels">Class index of each.</param>
/// <param name="TrainRows">Which of them are training rows.</param>
/// <param name="TrainWeights">How much each one's loss counts, mean 1 over the training rows; null: all alike.</param>
/// <param name="AllWeights">The same, mean 1 over all rows.</param>
/// <param name="Validation">Null where nothing is validated.</param>
internal sealed record FitImages(
    ImageCache Cache,
    IReadOnlyList<int> Labels,
    IReadOnlyList<int> TrainRows,
    IReadOnlyList<float>? TrainWeights,
    IReadOnlyList<float>? AllWeights,
    PreparedImages? Validation
) : IDisposable
{
    public void Dispose() => Cache.Dispose();
}
