using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Dpl.TensorFiles;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>Builds a graph node by node. A value has the name of the node that computes it; constants have their own names.</summary>
/// <param name="name">The graph's name.</param>
/// <param name="opset">The opset version of ONNX's operators.</param>
/// <param name="halvesConstants">Whether large float constants are stored in 16 bits and converted to 32 bits by a node.</param>
/// <param name="data">Receives large constants; null to store all of them in the graph.</param>
/// <param name="cancellationToken">Checked before each constant.</param>
internal sealed class OnnxGraph(
    string name,
    int opset,
    bool halvesConstants = false,
    OnnxData? data = null,
    CancellationToken cancellationToken = default
)
{
    /// <summary>A lower bound for divisors: small, but not a denormal number.</summary>
    public const float Tiny = 1e-30f;

    private const string OnnxRuntime = "com.microsoft";

    /// <summary>Constants with fewer numbers than this are not worth an additional node.</summary>
    private const long Large = 256;

    // The largest finite float16.
    private const float LargestHalf = 65504;

    // The first opset in which the axes of ReduceMax are an input.
    private const int AxesAsInput = 18;

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public GraphProto Graph { get; } = new() { Name = name };

    /// <summary>Adds a node with one output and returns the output's name.</summary>
    public string Add(string operation, string output, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = operation, Name = Unused(output) };
        node.Input.AddRange(inputs);
        node.Output.Add(output);
        node.Attribute.AddRange(attributes);
        Graph.Node.Add(node);
        return output;
    }

    /// <summary>Adds a node of an operator that only ONNX Runtime supports.</summary>
    public string AddOfOnnxRuntime(string operation, string output, IEnumerable<string> inputs)
    {
        Add(operation, output, inputs);
        Graph.Node[^1].Domain = OnnxRuntime;
        return output;
    }

    /// <summary>Adds the maximum over an axis, which is removed in the result.</summary>
    public string Maximum(string output, string of, long axis) =>
        opset >= AxesAsInput
            ? Add("ReduceMax", output, [of, Integers(output + ".axis", axis)], With("keepdims", 0))
            : Add("ReduceMax", output, [of], With("axes", [axis]), With("keepdims", 0));

    /// <summary>The operator sets that the nodes use.</summary>
    public IEnumerable<OperatorSetIdProto> Operators =>
        Graph
            .Node.Select(node => node.Domain)
            .Append("")
            .Distinct()
            .Order(StringComparer.Ordinal)
            .Select(domain => new OperatorSetIdProto { Domain = domain, Version = domain == OnnxRuntime ? 1 : opset });

    /// <summary>Adds a constant float tensor.</summary>
    /// <param name="name">The constant's name.</param>
    /// <param name="values">The values; referenced, not copied.</param>
    /// <param name="shape">The shape of the constant; if omitted, that of <paramref name="values"/>.</param>
    public string Constant(string name, FloatArray values, params long[] shape)
    {
        long[] read = shape.Length == 0 ? values.Shape : shape;
        if (!halvesConstants || values.Values.Length < Large || !(MathF.Abs(TensorPrimitives.MaxMagnitude(values.Values)) <= LargestHalf))
            return Constant(name, TensorProto.Types.DataType.Float, read, values.Bytes);
        byte[] halves = new byte[values.Values.Length * sizeof(ushort)];
        TensorPrimitives.ConvertToHalf(values.Values, MemoryMarshal.Cast<byte, Half>(halves));
        string half = Constant(name + ".half", TensorProto.Types.DataType.Float16, read, halves);
        return Add("Cast", name, [half], With("to", (long)TensorProto.Types.DataType.Float));
    }

    /// <summary>Adds a constant tensor of signed bytes, which are referenced and not copied.</summary>
    public string SignedBytes(string name, byte[] values, params long[] shape) =>
        Constant(name, TensorProto.Types.DataType.Int8, shape, values);

    /// <summary>Adds a constant byte.</summary>
    public string Byte(string name, byte value) => Constant(name, TensorProto.Types.DataType.Uint8, [], new[] { value });

    /// <summary>Adds a constant float.</summary>
    public string Constant(string name, float value) =>
        Constant(name, TensorProto.Types.DataType.Float, [], MemoryMarshal.AsBytes<float>([value]).ToArray());

    /// <summary>Adds a constant vector of integers.</summary>
    public string Integers(string name, params long[] values) =>
        Constant(name, TensorProto.Types.DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values).ToArray());

    /// <summary>Adds a constant integer.</summary>
    public string Scalar(string name, long value) =>
        Constant(name, TensorProto.Types.DataType.Int64, [], MemoryMarshal.AsBytes<long>([value]).ToArray());

    /// <summary>Declares an input; a dimension is a number, or the name of a dynamic dimension.</summary>
    public void Input(string name, string description, TensorProto.Types.DataType type, params object[] shape) =>
        Graph.Input.Add(Described(Unused(name), description, type, shape));

    /// <summary>Declares a node's value as a float output; dimensions as for an input.</summary>
    public void Output(string name, string description, params object[] shape) =>
        Graph.Output.Add(Described(name, description, TensorProto.Types.DataType.Float, shape));

    /// <summary>Creates a node attribute.</summary>
    public static AttributeProto With(string name, long value) =>
        new()
        {
            Name = name,
            Type = AttributeProto.Types.AttributeType.Int,
            I = value,
        };

    public static AttributeProto With(string name, float value) =>
        new()
        {
            Name = name,
            Type = AttributeProto.Types.AttributeType.Float,
            F = value,
        };

    public static AttributeProto With(string name, string value) =>
        new()
        {
            Name = name,
            Type = AttributeProto.Types.AttributeType.String,
            S = ByteString.CopyFromUtf8(value),
        };

    public static AttributeProto With(string name, params long[] values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.AddRange(values);
        return attribute;
    }

    private string Constant(string name, TensorProto.Types.DataType type, IEnumerable<long> shape, ReadOnlyMemory<byte> bytes)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var tensor = new TensorProto { Name = Unused(name), DataType = (int)type };
        tensor.Dims.AddRange(shape);
        if (data is not null && bytes.Length >= OnnxData.Alignment)
            data.Append(tensor, bytes.Span);
        else
            tensor.RawData = UnsafeByteOperations.UnsafeWrap(bytes);
        Graph.Initializer.Add(tensor);
        return name;
    }

    private string Unused(string value) =>
        _names.Add(value) ? value : throw new ArgumentException($"The graph has a value '{value}' already.", nameof(value));

    private static ValueInfoProto Described(string name, string description, TensorProto.Types.DataType type, object[] shape)
    {
        var dimensions = new TensorShapeProto();
        foreach (object size in shape)
            dimensions.Dim.Add(
                size is string free
                    ? new TensorShapeProto.Types.Dimension { DimParam = free }
                    : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(size, null) }
            );
        return new ValueInfoProto
        {
            Name = name,
            DocString = description,
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = dimensions },
            },
        };
    }
}
