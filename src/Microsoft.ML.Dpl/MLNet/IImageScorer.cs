using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>A trained classifier as the scoring view sees it. Thread-safe.</summary>
internal interface IImageScorer
{
    /// <summary>Most images one forward pass takes.</summary>
    int BatchSize { get; }

    /// <summary>Resizes and crops one image. Returns [3, size, size] bytes, channel first.</summary>
    byte[] Prepare(RgbImage image);

    /// <summary>Class probabilities, one row of [classes] per prepared image.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    float[][] Score(IReadOnlyList<byte[]> prepared);
}
