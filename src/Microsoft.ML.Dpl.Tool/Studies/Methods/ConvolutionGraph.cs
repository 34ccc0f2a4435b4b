using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Dpl.Runtime;
using Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>
/// Runs a convolutional network from an ONNX file with libtorch, which this command already contains; ONNX Runtime would add tens of
/// megabytes for a single method. Only the few operators of networks such as ResNet are supported.
/// </summary>
internal sealed class ConvolutionGraph : IDisposable
{
    private static readonly Dictionary<string, Func<NodeProto, Tensor[], Tensor>> Operators = new(StringComparer.Ordinal)
    {
        ["Conv"] = Convolution,
        ["BatchNormalization"] = (node, x) =>
            nn.functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps: node.Attribute.Single(a => a.Name == "epsilon").F),
        ["Relu"] = (_, x) => x[0].relu(),
        ["Add"] = (_, x) => x[0].Plus(x[1]),
        ["MaxPool"] = (node, x) =>
        {
            using Tensor padded = Padded(node, x[0], double.NegativeInfinity);
            return nn.functional.max_pool2d(padded, Numbers(node, "kernel_shape"), Numbers(node, "strides"));
        },
        ["AveragePool"] = (node, x) =>
            Numbers(node, "pads").Any(pad => pad != 0)
                ? throw new InvalidDataException($"The operator {node.OpType} has a padding that is not supported.")
                : nn.functional.avg_pool2d(x[0], Numbers(node, "kernel_shape"), Numbers(node, "strides")),
    };

    private readonly Dictionary<string, Tensor> _constants;
    private readonly IReadOnlyList<NodeProto> _nodes;
    private readonly string _input,
        _output;
    private readonly ScalarType _convolutions;

    private ConvolutionGraph(GraphProto graph, Device device, string? output, ScalarType convolutions)
    {
        string[] inputs =
        [
            .. graph.Input.Select(input => input.Name).Except(graph.Initializer.Select(constant => constant.Name), StringComparer.Ordinal),
        ];
        if (inputs.Length != 1 || graph.Output.Count != 1)
            throw new InvalidDataException($"It has {inputs.Length} inputs and {graph.Output.Count} outputs instead of one each.");
        if (graph.Node.FirstOrDefault(node => !Operators.ContainsKey(node.OpType)) is { } unknown)
            throw new InvalidDataException($"It has the operator {unknown.OpType}, which is not supported.");
        (_input, _output, _convolutions) = (inputs[0], output ?? graph.Output[0].Name, convolutions);
        int last = graph.Node.ToList().FindIndex(node => node.Output[0] == _output);
        if (last < 0)
            throw new InvalidDataException($"It does not compute '{_output}'.");
        _nodes = [.. graph.Node.Take(last + 1)];
        HashSet<string> kernels = [.. _nodes.Where(node => node.OpType == "Conv").SelectMany(node => node.Input.Skip(1))];
        _constants = graph.Initializer.ToDictionary(
            constant => constant.Name,
            constant => Constant(constant, device, kernels.Contains(constant.Name) ? convolutions : ScalarType.Float32),
            StringComparer.Ordinal
        );
    }

    /// <param name="onnx">Content of the ONNX file, with float32 weights.</param>
    /// <param name="device">The device to run on.</param>
    /// <param name="output">Name of the value to compute; null: the file's output.</param>
    /// <param name="convolutions">Data type of the convolutions and the values between them.</param>
    /// <exception cref="InvalidDataException">The content is not an ONNX file, or uses something that is not supported.</exception>
    public static ConvolutionGraph Read(byte[] onnx, Device device, string? output = null, ScalarType convolutions = ScalarType.Float32)
    {
        try
        {
            return new ConvolutionGraph(ModelProto.Parser.ParseFrom(onnx).Graph ?? new GraphProto(), device, output, convolutions);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new InvalidDataException($"It is not an ONNX file: {e.Message}", e);
        }
    }

    /// <param name="input">The input, of the shape that the file specifies except for the number of images.</param>
    /// <returns>The output as float32, owned by the caller or the current dispose scope.</returns>
    public Tensor Run(Tensor input)
    {
        using var scope = NewDisposeScope();
        using var still = no_grad();
        var values = new Dictionary<string, Tensor>(_constants, StringComparer.Ordinal) { [_input] = input.to(_convolutions) };
        Dictionary<string, int> uses = _nodes
            .SelectMany(node => node.Input)
            .GroupBy(name => name, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Count(), StringComparer.Ordinal);
        foreach (NodeProto node in _nodes)
        {
            values[node.Output[0]] = Operators[node.OpType](node, [.. node.Input.Select(name => values[name])]);
            // Free activations after their last use: those of all layers together are thirty times as large as an image.
            foreach (string name in node.Input)
                if (--uses[name] == 0 && name != _input && name != _output && !_constants.ContainsKey(name))
                    values[name].Dispose();
        }
        return values[_output].to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        foreach (Tensor constant in _constants.Values)
            constant.Dispose();
    }

    private static Tensor Convolution(NodeProto node, Tensor[] x)
    {
        using Tensor padded = Padded(node, x[0], 0);
        return nn.functional.conv2d(
            padded,
            x[1],
            x.Length > 2 ? x[2] : null,
            Numbers(node, "strides"),
            padding: [0, 0],
            Numbers(node, "dilations"),
            node.Attribute.Single(a => a.Name == "group").I
        );
    }

    /// <summary>Pads explicitly, since each side may have a different padding, which libtorch's operators do not support.</summary>
    private static Tensor Padded(NodeProto node, Tensor x, double value)
    {
        long[] pads = Numbers(node, "pads"); // top, left, bottom, right
        return pads.All(pad => pad == 0) ? x.alias() : nn.functional.pad(x, [pads[1], pads[3], pads[0], pads[2]], value: value);
    }

    private static long[] Numbers(NodeProto node, string attribute) => [.. node.Attribute.Single(a => a.Name == attribute).Ints];

    private static Tensor Constant(TensorProto constant, Device device, ScalarType type)
    {
        if (constant.DataType != (int)TensorProto.Types.DataType.Float)
            throw new InvalidDataException($"'{constant.Name}' is not of float32, the only type that is supported.");
        float[] values = constant.RawData.IsEmpty
            ? [.. constant.FloatData]
            : MemoryMarshal.Cast<byte, float>(constant.RawData.Span).ToArray();
        using Tensor made = empty([.. constant.Dims], ScalarType.Float32, CPU);
        values.CopyTo(MemoryMarshal.Cast<byte, float>(made.bytes));
        return made.to(type, device, copy: true).DetachFromDisposeScope();
    }
}
