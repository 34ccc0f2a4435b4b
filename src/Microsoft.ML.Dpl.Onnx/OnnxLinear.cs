using System.Numerics.Tensors;
using Microsoft.ML.Dpl.TensorFiles;
using static Microsoft.ML.Dpl.Onnx.OnnxGraph;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>Writes the transformer's linear layers as ONNX nodes.</summary>
internal interface IOnnxLinear
{
    /// <param name="name">Name of the result, and prefix of the names of the other nodes.</param>
    /// <param name="rows">Name of the input rows, [rows, inputs].</param>
    /// <param name="weight">[outputs, inputs].</param>
    /// <param name="bias">[outputs].</param>
    /// <returns>Name of the result, [rows, outputs].</returns>
    string Add(string name, string rows, FloatArray weight, FloatArray bias);
}

/// <summary>Linear layers in float32.</summary>
/// <param name="graph">The graph to add the nodes to.</param>
internal sealed class FloatLinear(OnnxGraph graph) : IOnnxLinear
{
    public string Add(string name, string rows, FloatArray weight, FloatArray bias) =>
        graph.Add("Gemm", name, [rows, graph.Constant(name + ".weight", weight), graph.Constant(name + ".bias", bias)], With("transB", 1));
}

/// <summary>Linear layers in 8-bit integers; see <see cref="OnnxPrecision.Int8"/>.</summary>
/// <param name="graph">The graph to add the nodes to.</param>
internal sealed class Int8Linear(OnnxGraph graph) : IOnnxLinear
{
    private const float Largest = 127;

    /// <summary>The zero point of the quantized inputs. ONNX Runtime is fastest with unsigned inputs and signed weights.</summary>
    private const byte Zero = 128;

    // Quantized inputs by name, because queries, keys and values share the same rows.
    private readonly Dictionary<string, (string Bytes, string Scales)> _quantized = new(StringComparer.Ordinal);
    private string? _zero,
        _one;

    public string Add(string name, string rows, FloatArray weight, FloatArray bias)
    {
        var (bytes, scales) = Quantized(rows);
        int outputs = (int)weight.Shape[0],
            inputs = (int)weight.Shape[1];
        byte[] rounded = new byte[outputs * inputs]; // [inputs, outputs]
        FloatArray outputScales = FloatArray.Filled([outputs], to =>
        {
            for (int output = 0; output < outputs; output++)
            {
                ReadOnlySpan<float> from = weight.Values.Slice(output * inputs, inputs);
                // The scale stays above zero even if all weights of an output are zero, so that 0 / scale is 0.
                to[output] = MathF.Max(MathF.Abs(TensorPrimitives.MaxMagnitude(from)), OnnxGraph.Tiny) / Largest;
                for (int input = 0; input < inputs; input++)
                    rounded[input * outputs + output] = (byte)(sbyte)MathF.Round(from[input] / to[output]);
            }
        });
        string product = graph.AddOfOnnxRuntime(
            "MatMulIntegerToFloat",
            name + ".product",
            [
                bytes,
                graph.SignedBytes(name + ".weight", rounded, inputs, outputs),
                _one ??= graph.Constant("quantized.one", 1f),
                graph.Constant(name + ".scale", outputScales),
                ZeroByte,
            ]
        );
        string scaled = graph.Add("Mul", name + ".scaled", [product, scales]);
        return graph.Add("Add", name, [scaled, graph.Constant(name + ".bias", bias)]);
    }

    private string ZeroByte => _zero ??= graph.Byte("quantized.zero", Zero);

    /// <summary>Names of the quantized rows, [rows, inputs], and of their scales, [rows, 1].</summary>
    private (string Bytes, string Scales) Quantized(string rows)
    {
        if (_quantized.TryGetValue(rows, out var done))
            return done;
        string name = rows + ".quantized";
        string largest = graph.Maximum(name + ".largest", graph.Add("Abs", name + ".abs", [rows]), axis: -1);
        string bounded = graph.Add("Max", name + ".bounded", [largest, graph.Constant(name + ".least", OnnxGraph.Tiny)]);
        string scales = graph.Add("Mul", name + ".scales", [bounded, graph.Constant(name + ".step", 1 / Largest)]);
        string zeros = graph.Add("Expand", name + ".zeros", [ZeroByte, graph.Add("Shape", name + ".shape", [scales])]);
        string bytes = graph.Add("QuantizeLinear", name, [rows, scales, zeros], With("axis", 0L));
        string column = graph.Add("Unsqueeze", name + ".column", [scales, graph.Integers(name + ".axis", 1)]);
        return _quantized[rows] = (bytes, column);
    }
}
