using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>A data view and the columns that a fit reads from it.</summary>
/// <param name="View">The rows.</param>
/// <param name="Image">The image column.</param>
/// <param name="Label">The label column.</param>
/// <param name="Weight">The column of the weights of the rows' losses; null if all rows weigh the same.</param>
internal sealed record LabelledData(IDataView View, ImageColumn Image, LabelColumn Label, WeightColumn? Weight = null);

/// <summary>The data of a fit.</summary>
/// <param name="Train">Training rows.</param>
/// <param name="Validation">Validation rows, or null.</param>
/// <param name="SkipUnreadable">Whether images that cannot be read are skipped; otherwise the first of them fails the fit.</param>
internal sealed record FitData(LabelledData Train, LabelledData? Validation, bool SkipUnreadable);

/// <summary>The images of a fit, held in memory.</summary>
/// <param name="Cache">Images to crop from: those of the training rows and, where a refit follows, those of the validation rows.</param>
/// <param name="Labels">Class index of each cached image.</param>
/// <param name="TrainRows">Indices of the cached images that belong to training rows.</param>
/// <param name="TrainWeights">Weight of each cached image's loss, with mean 1 over the training rows and 0 for others; null if all
/// weigh the same.</param>
/// <param name="AllWeights">Weight of each cached image's loss, with mean 1 over all cached images; null if all weigh the same.</param>
/// <param name="Validation">The prepared validation images; null without validation.</param>
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
