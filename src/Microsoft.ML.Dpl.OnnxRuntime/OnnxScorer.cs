using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>The graph of a model zip in ONNX Runtime: pixels in, probabilities out. Thread-safe.</summary>
internal sealed partial class OnnxScorer : IImageScorer, IDisposable
{
    private const string Pixels = "pixels",
        Probabilities = "probabilities";

    private readonly InferenceSession _session;
    private readonly ClipImageProcessor _processor;
    private readonly int _classes;
    private readonly float[] _normalised; // [3, 256], of each channel and byte

    private readonly UseGate _gate = new(typeof(DplOnnxTransformer).FullName!);

    /// <param name="session">Taken over once this is made.</param>
    /// <param name="columns">Says how many classes there are.</param>
    /// <param name="preprocessing">How images are prepared, given the side of the graph's input in pixels.</param>
    /// <exception cref="InvalidDataException">The graph takes or gives something else.</exception>
    public OnnxScorer(InferenceSession session, ModelColumns columns, Func<int, ClipImageProcessorConfig> preprocessing)
    {
        (_session, _classes, BatchSize) = (session, columns.Classes.Count, columns.BatchSize);
        if (
            !session.InputMetadata.TryGetValue(Pixels, out NodeMetadata? input)
            || input.ElementType != typeof(float)
            || input.Dimensions is not [< 0, 3, int height, int width]
            || height != width
            || height < 1
        )
            throw Unfit($"takes no '{Pixels}' of [batch, 3, size, size]");
        if (
            !session.OutputMetadata.TryGetValue(Probabilities, out NodeMetadata? output)
            || output.ElementType != typeof(float)
            || output.Dimensions is not [< 0, int classes]
            || classes != _classes
        )
            throw Unfit($"gives no '{Probabilities}' of [batch, {_classes}], one for each class");
        _processor = new ClipImageProcessor(preprocessing(height));
        _normalised = new float[3 * 256];
        for (int i = 0; i < _normalised.Length; i++)
            _normalised[i] = (i % 256 / 255f - Preprocessing.Mean[i / 256]) / Preprocessing.Deviation[i / 256];
    }

    public int BatchSize { get; }

    /// <summary>How images are prepared.</summary>
    public ClipImageProcessorConfig Preprocessing => _processor.Config;

    public byte[] Prepare(RgbImage image) => _processor.Prepare(image);

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single image.</exception>
    public float[][] Score(IReadOnlyList<byte[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            ScoreAtOnce,
            "classifying one image",
            "Let the process have more, end others, or use a model of a smaller CLIP."
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
        return Use(() =>
        {
            using var run = new RunOptions();
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(pixels, [prepared.Count, 3, size, size]);
            try
            {
                using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(run, [Pixels], [input], [Probabilities]);
                return outputs[0].GetTensorDataAsSpan<float>().ToArray().Chunk(_classes).ToArray();
            }
            catch (OnnxRuntimeException e) when (NoMemory().IsMatch(e.Message))
            {
                throw new OutOfMemoryException(e.Message, e);
            }
        });
    }

    /// <summary>Does something that a dispose waits for.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) => _gate.Use(work);

    public void Dispose() => _gate.Dispose(_session.Dispose);

    // Its exceptions have one type for all that goes wrong.
    [GeneratedRegex("failed to allocate memory|bad.alloc|out of memory", RegexOptions.IgnoreCase)]
    private static partial Regex NoMemory();

    private static InvalidDataException Unfit(string what) =>
        new($"The entry '{OnnxEntries.Graph}' of the model zip {what}. Copy or save the model again.");
}
