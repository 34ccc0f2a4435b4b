using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.OnnxRuntime;
using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>A classifier's exported graph in ONNX Runtime, with the same number of threads as libtorch.</summary>
internal sealed class OnnxSession : IDisposable
{
    private static readonly string[] Inputs = [OnnxImageModel.Pixels],
        Outputs = [OnnxClassifier.Logits];

    private readonly InferenceSession _session;
    private readonly RunOptions _run = new();

    public OnnxSession(FoldedClassifier classifier, OnnxPrecision precision = OnnxPrecision.Float32)
    {
        OnnxNative.EnsureStarted();
        using var model = new MemoryStream();
        OnnxImageModel.Write(OnnxClassifier.Create(ClassifierArrays.From(classifier), [], precision: precision), model);
        using var options = new SessionOptions { IntraOpNumThreads = get_num_threads(), InterOpNumThreads = 1 };
        // ONNX Runtime's threads spin between operations, as by default, but stop when a run ends, so as not to slow down the other work.
        options.AddSessionConfigEntry("session.force_spinning_stop", "1");
        _session = new InferenceSession(model.ToArray(), options);
    }

    /// <summary>ONNX Runtime's version.</summary>
    public static string Version => OrtEnv.Instance().GetVersionString();

    /// <param name="pixels">[batch, 3, size, size], row by row.</param>
    /// <param name="shape">The four dimensions of <paramref name="pixels"/>.</param>
    /// <returns>[batch, classes] logits, row by row.</returns>
    public float[] Logits(float[] pixels, long[] shape)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(pixels, shape);
        using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(_run, Inputs, [input], Outputs);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    public void Dispose()
    {
        _run.Dispose();
        _session.Dispose();
    }
}
