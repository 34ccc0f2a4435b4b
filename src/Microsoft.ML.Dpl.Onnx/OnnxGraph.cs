using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Dpl.TensorFiles;
using Onnx;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>A graph that grows node by node. A value's name is that of the node that makes it; constants have names of their own.</summary>
/// <param name="name">The graph's.</param>
/// <param name="opset">Of ONNX's operators.</param>
/// <param name="halvesConstants">Whether large constants of floats are kept in 16 bits, and turned into 32 by a node.</param>
/// <param name="data">Where large constants go; null: all are kept in the graph.</param>
/// <param name="cancellationToken">Ends its growth at the next constant.</param>
internal sealed class OnnxGraph(
    string name,
    int opset,
    bool halvesConstants = false,
    OnnxData? data = null,
    CancellationToken cancellationToken = default
)
{
    /// <summary>Small enough to bound a divisor, and no denormal number.</summary>
    public const float Tiny = 1e-30f;

    private const string OnnxRuntime = "com.microsoft";

    /// <summary>Fewer numbers than this are not worth another node.</summary>
    private const long Large = 256;

    // The largest number of 16 bits.
    private const float LargestHalf = 65504;

    // The first opset in which the axes of a maximum are an input.
    private const int AxesAsInput = 18;

    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public GraphProto Graph { get; } = new() { Name = name };

    /// <summary>Adds a node of one output and returns that output's name.</summary>
    public string Add(string operation, string output, IEnumerable<string> inputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = operation, Name = Unused(output) };
        node.Input.AddRange(inputs);
        node.Output.Add(output);
        node.Attribute.AddRange(attributes);
        Graph.Node.Add(node);
        return output;
    }

    /// <summary>Adds a node of an operator that ONNX Runtime alone has.</summary>
    public string AddOfOnnxRuntime(string operation, string output, IEnumerable<string> inputs)
    {
        Add(operation, output, inputs);
        Graph.Node[^1].Domain = OnnxRuntime;
        return output;
    }

    /// <summary>Adds the maximum over an axis, which the result does not have.</summary>
    public string Maximum(string output, string of, long axis) =>
        opset >= AxesAsInput
            ? Add("ReduceMax", output, [of, Integers(output + ".axis", axis)], With("keepdims", 0))
            : Add("ReduceMax", output, [of], With("axes", [axis]), With("keepdims", 0));

    /// <summary>The operators that the nodes are of.</summary>
    public IEnumerable<OperatorSetIdProto> Operators =>
        Graph
            .Node.Select(node => node.Domain)
            .Append("")
            .Distinct()
            .Order(StringComparer.Ordinal)
            .Select(domain => new OperatorSetIdProto { Domain = domain, Version = domain == OnnxRuntime ? 1 : opset });

    /// <summary>A constant of floats.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Kept, not copied.</param>
    /// <param name="shape">What it is read as; none: as it is.</param>
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

    /// <summary>A constant of signed bytes, which is kept and not copied.</summary>
    public string SignedBytes(string name, byte[] values, params long[] shape) =>
        Constant(name, TensorProto.Types.DataType.Int8, shape, values);

    /// <summary>A constant byte.</summary>
    public string Byte(string name, byte value) => Constant(name, TensorProto.Types.DataType.Uint8, [], new[] { value });

    /// <summary>A constant float.</summary>
    public string Constant(string name, float value) =>
        Constant(name, TensorProto.Types.DataType.Float, [], MemoryMarshal.AsBytes<float>([value]).ToArray());

    /// <summary>A constant vector of integers.</summary>
    public string Integers(string name, params long[] values) =>
        Constant(name, TensorProto.Types.DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values).ToArray());

    /// <summary>A constant integer.</summary>
    public string Scalar(string name, long value) =>
        Constant(name, TensorProto.Types.DataType.Int64, [], MemoryMarshal.AsBytes<long>([value]).ToArray());

    /// <summary>Declares an input; a dimension is a number, or the name of one that is not fixed.</summary>
    public void Input(string name, string description, TensorProto.Types.DataType type, params object[] shape) =>
        Graph.Input.Add(Described(Unused(name), description, type, shape));

    /// <summary>Declares the value of a node as an output of floats; dimensions as for an input.</summary>
    public void Output(string name, string description, params object[] shape) =>
        Graph.Output.Add(Described(name, description, TensorProto.Types.DataType.Float, shape));

    /// <summary>An attribute of a node.</summary>
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
