using System.Text.Json;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>An exported model in ONNX Runtime, on one thread.</summary>
internal sealed class OnnxModel : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    public OnnxModel(byte[] model, GraphOptimizationLevel level = GraphOptimizationLevel.ORT_ENABLE_ALL) =>
        _session = Open(level, options => new InferenceSession(model, options));

    /// <param name="path">The model file, which may have its weights beside it.</param>
    public OnnxModel(string path) => _session = Open(GraphOptimizationLevel.ORT_ENABLE_ALL, options => new InferenceSession(path, options));

    /// <summary>What SaveAsOnnx writes.</summary>
    public static byte[] Written(
        DplTransformer transformer,
        OnnxInput input = OnnxInput.Pixels,
        OnnxPrecision precision = OnnxPrecision.Float32
    )
    {
        using var stream = new MemoryStream();
        transformer.SaveAsOnnx(stream, input, precision);
        return stream.ToArray();
    }

    public IReadOnlyDictionary<string, NodeMetadata> Inputs => _session.InputMetadata;

    public IReadOnlyDictionary<string, NodeMetadata> Outputs => _session.OutputMetadata;

    public IReadOnlyDictionary<string, string> Metadata => _session.ModelMetadata.CustomMetadataMap;

    public string[] Classes => JsonSerializer.Deserialize<string[]>(Metadata["classes"])!;

    /// <param name="pixels">[batch, 3, size, size]</param>
    /// <param name="shape">The four dimensions of <paramref name="pixels"/>.</param>
    public (float[] Logits, float[] Probabilities) Score(float[] pixels, params long[] shape)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(pixels, shape);
        return Run(OnnxImageModel.Pixels, input, shape[0]);
    }

    /// <param name="image">[height, width, 3]</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    public (float[] Logits, float[] Probabilities) Score(byte[] image, int height, int width)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(image, [height, width, 3]);
        return Run(OnnxImageModel.Image, input, 1);
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }

    private static InferenceSession Open(GraphOptimizationLevel level, Func<SessionOptions, InferenceSession> open)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = level,
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        return open(options);
    }

    private (float[] Logits, float[] Probabilities) Run(string name, OrtValue input, long batch)
    {
        using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(
            _run,
            [name],
            [input],
            [OnnxClassifier.Logits, OnnxClassifier.Probabilities]
        );
        foreach (OrtValue output in outputs)
            Assert.Equal(batch, output.GetTensorTypeAndShape().Shape[0]);
        return (outputs[0].GetTensorDataAsSpan<float>().ToArray(), outputs[1].GetTensorDataAsSpan<float>().ToArray());
    }
}
