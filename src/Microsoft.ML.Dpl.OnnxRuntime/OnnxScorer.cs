using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Runs the graph of an image model in ONNX Runtime: the input is pixels, the output probabilities or a vector.
/// Thread-safe.</summary>
internal sealed class OnnxScorer : IImageScorer, IDisposable
{
    private readonly OnnxGraphSession _graph;
    private readonly ClipImageProcessor _processor;
    private readonly ScorerOutput _output;
    private readonly float[] _normalised; // [3, 256], the normalised value of each byte per channel

    /// <param name="session">The session; this object takes ownership if the constructor succeeds.</param>
    /// <param name="output">The requested output.</param>
    /// <param name="preprocessing">Returns the image preprocessing, given the side of the graph's input in pixels.</param>
    /// <exception cref="InvalidDataException">The graph does not have the expected input or output.</exception>
    public OnnxScorer(InferenceSession session, ScorerOutput output, Func<int, ClipImageProcessorConfig> preprocessing)
    {
        _output = output;
        _graph = new OnnxGraphSession(
            session,
            "pixels",
            input => input.ElementType == typeof(float) && input.Dimensions is [< 0, 3, >= 1 and int height, int width] && height == width,
            "[batch, 3, size, size]",
            output
        );
        _processor = new ClipImageProcessor(preprocessing(_graph.Input.Dimensions[3]));
        _normalised = new float[3 * 256];
        for (int i = 0; i < _normalised.Length; i++)
            _normalised[i] = (i % 256 / 255f - Preprocessing.Mean[i / 256]) / Preprocessing.Deviation[i / 256];
    }

    public int BatchSize => _output.BatchSize;

    /// <summary>How many numbers the output has per image.</summary>
    public int Size => _graph.Size;

    /// <summary>The image preprocessing.</summary>
    public ClipImageProcessorConfig Preprocessing => _processor.Config;

    public byte[] Prepare(RgbImage image) => _processor.Prepare(image);

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single image.</exception>
    public float[][] Score(IReadOnlyList<byte[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            ScoreAtOnce,
            _output.Work,
            "Give this process more memory, end other processes, or use a model of a smaller CLIP."
        );

    private float[][] ScoreAtOnce(IReadOnlyList<byte[]> prepared)
    {
        int size = _processor.ImageSize,
            plane = size * size;
        float[] pixels = GC.AllocateUninitializedArray<float>(checked(prepared.Count * 3 * plane));
        for (int image = 0; image < prepared.Count; image++)
        {
            for (int channel = 0; channel < 3; channel++)
            {
                ReadOnlySpan<byte> bytes = prepared[image].AsSpan(channel * plane, plane);
                ReadOnlySpan<float> normalised = _normalised.AsSpan(channel * 256, 256);
                Span<float> to = pixels.AsSpan((image * 3 + channel) * plane, plane);
                for (int i = 0; i < to.Length; i++)
                    to[i] = normalised[bytes[i]];
            }
        }
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(pixels, [prepared.Count, 3, size, size]);
        return _graph.Run(input);
    }

    /// <summary>Runs work that disposal waits for.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) => _graph.Use(work);

    public void Dispose() => _graph.Dispose();
}
