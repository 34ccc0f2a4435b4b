using Microsoft.ML.Dpl.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>
/// Two batches of three random images of five classes, the same in every epoch, for a <see cref="Network.RandomClip"/> of the usual shape.
/// </summary>
internal sealed class RandomBatches(Generator generator, bool weighted = false) : IBatchSource
{
    private readonly Tensor _images = randn([2, 3, 3, 20, 20], generator: generator);

    public int BatchesPerEpoch => 2;

    /// <summary>The number of batches read so far.</summary>
    public int Reads { get; private set; }

    public ImageBatch Read(int epoch, int index)
    {
        Reads++;
        Tensor labels = tensor(index == 0 ? new long[] { 0, 3, 4 } : [1, 2, 3]);
        Tensor? weights = weighted ? tensor(index == 0 ? new[] { 0.5f, 1.5f, 1 } : [2, 0.25f, 0.75f]) : null;
        return new ImageBatch(_images[index].clone(), labels, weights);
    }
}
