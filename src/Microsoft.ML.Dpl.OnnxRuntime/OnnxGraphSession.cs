using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>What a graph is run for.</summary>
/// <param name="Name">The output's.</param>
/// <param name="Size">Numbers of a row; null: whatever the graph says.</param>
/// <param name="BatchSize">Most rows of one run.</param>
/// <param name="Work">What a run for one row is, for messages.</param>
/// <param name="Transformer">Whose graph it is.</param>
internal sealed record ScorerOutput(string Name, int? Size, int BatchSize, string Work, Type Transformer);

/// <summary>A graph of one input in ONNX Runtime, of which one output is asked for. Thread-safe.</summary>
internal sealed partial class OnnxGraphSession : IDisposable
{
    private readonly InferenceSession _session;
    private readonly string _input;
    private readonly ScorerOutput _output;
    private readonly UseGate _gate;

    /// <param name="session">Taken over once this is made.</param>
    /// <param name="input">The input's name.</param>
    /// <param name="isInput">Whether it is as it should be.</param>
    /// <param name="shown">The input's shape, for messages.</param>
    /// <param name="output">What the graph is run for.</param>
    /// <exception cref="InvalidDataException">The graph takes or gives something else.</exception>
    public OnnxGraphSession(InferenceSession session, string input, Func<NodeMetadata, bool> isInput, string shown, ScorerOutput output)
    {
        (_session, _input, _output, _gate) = (session, input, output, new UseGate(output.Transformer.FullName!));
        if (!session.InputMetadata.TryGetValue(input, out NodeMetadata? taken) || !isInput(taken))
            throw Unfit($"takes no '{input}' of {shown}");
        if (
            !session.OutputMetadata.TryGetValue(output.Name, out NodeMetadata? given)
            || given.ElementType != typeof(float)
            || given.Dimensions is not [< 0, >= 1 and int size]
            || size != (output.Size ?? size)
        )
            throw Unfit($"gives no '{output.Name}' of [batch, {output.Size?.ToString(CultureInfo.InvariantCulture) ?? "width"}]");
        (Input, Size) = (taken, size);
    }

    /// <summary>What the graph takes.</summary>
    public NodeMetadata Input { get; }

    /// <summary>Numbers of a row.</summary>
    public int Size { get; }

    /// <summary>One row of numbers for each of the batch.</summary>
    /// <param name="value">The batch.</param>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory for so many.</exception>
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
