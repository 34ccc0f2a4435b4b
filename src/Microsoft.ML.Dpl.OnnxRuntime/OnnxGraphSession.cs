using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>The requested output of a graph.</summary>
/// <param name="Name">The output's name.</param>
/// <param name="Size">How many numbers each row has; null for any number.</param>
/// <param name="BatchSize">Maximum number of rows per run.</param>
/// <param name="Work">What a run for one row does, for error messages.</param>
/// <param name="Transformer">The type of the transformer that uses the graph.</param>
internal sealed record ScorerOutput(string Name, int? Size, int BatchSize, string Work, Type Transformer);

/// <summary>Runs a graph with one input in ONNX Runtime and returns one of its outputs. Thread-safe.</summary>
internal sealed partial class OnnxGraphSession : IDisposable
{
    private readonly InferenceSession _session;
    private readonly string _input;
    private readonly ScorerOutput _output;
    private readonly UseGate _gate;

    /// <param name="session">The session; this object takes ownership if the constructor succeeds.</param>
    /// <param name="input">The input's name.</param>
    /// <param name="isInput">Checks the input's type and shape.</param>
    /// <param name="shown">The input's shape, for error messages.</param>
    /// <param name="output">The requested output.</param>
    /// <exception cref="InvalidDataException">The graph does not have the expected input or output.</exception>
    public OnnxGraphSession(InferenceSession session, string input, Func<NodeMetadata, bool> isInput, string shown, ScorerOutput output)
    {
        (_session, _input, _output, _gate) = (session, input, output, new UseGate(output.Transformer.FullName!));
        if (!session.InputMetadata.TryGetValue(input, out NodeMetadata? taken) || !isInput(taken))
            throw Unfit($"has no input '{input}' of {shown}");
        if (
            !session.OutputMetadata.TryGetValue(output.Name, out NodeMetadata? given)
            || given.ElementType != typeof(float)
            || given.Dimensions is not [< 0, >= 1 and int size]
            || size != (output.Size ?? size)
        )
            throw Unfit($"has no output '{output.Name}' of [batch, {output.Size?.ToString(CultureInfo.InvariantCulture) ?? "width"}]");
        (Input, Size) = (taken, size);
    }

    /// <summary>The graph's input.</summary>
    public NodeMetadata Input { get; }

    /// <summary>How many numbers the output has per row.</summary>
    public int Size { get; }

    /// <summary>Runs the graph, and returns one array of numbers per row of the batch.</summary>
    /// <param name="value">The batch.</param>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory for the batch.</exception>
    public float[][] Run(OrtValue value) =>
        Use(() =>
        {
            using var run = new RunOptions();
            try
            {
                using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(run, [_input], [value], [_output.Name]);
                return outputs[0].GetTensorDataAsSpan<float>().ToArray().Chunk(Size).ToArray();
            }
            catch (OnnxRuntimeException e) when (NoMemory().IsMatch(e.Message))
            {
                throw new OutOfMemoryException(e.Message, e);
            }
        });

    /// <summary>Runs work that disposal waits for.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) => _gate.Use(work);

    public void Dispose() => _gate.Dispose(_session.Dispose);

    // ONNX Runtime has the same exception type for all errors.
    [GeneratedRegex("failed to allocate memory|bad.alloc|out of memory", RegexOptions.IgnoreCase)]
    private static partial Regex NoMemory();

    private static InvalidDataException Unfit(string what) =>
        new($"The entry '{OnnxEntries.Graph}' of the model zip {what}. Copy or save the model again.");
}
