using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What computes numbers of images: a classifier their probabilities, one row of [classes] per image. Thread-safe.</summary>
internal interface IImageScorer : IBatchScorer<byte[]>
{
    /// <summary>Resizes and crops one image. Returns [3, size, size] bytes, channel first.</summary>
    byte[] Prepare(RgbImage image);
}
