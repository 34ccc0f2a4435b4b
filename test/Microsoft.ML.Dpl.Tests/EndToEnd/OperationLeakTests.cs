using Microsoft.ML.Dpl.Tests.Models;
using Microsoft.ML.Dpl.Tests.Onnx;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>No public operation leaks a tensor, whether it succeeds or throws.</summary>
[Collection(RunsAlone.Name)]
public sealed class OperationLeakTests : IClassFixture<OperationLeakTests.Shared>
{
    private readonly Shared _shared;

    public OperationLeakTests(Shared shared) => _shared = shared;

    public static TheoryData<string> Operations()
    {
        var data = new TheoryData<string>();
        foreach (string name in PublicOperations.All.Keys)
            data.Add(name);
        return data;
    }

    [Fact]
    public void Every_public_operation_is_in_the_table()
    {
        string[] there = [.. PublicOperations.NamesIn(typeof(DplTrainer).Assembly), .. PublicOperations.NamesIn(typeof(DplOnnx).Assembly)],
            listed = [.. PublicOperations.OfMembers];
        Assert.True(there.Length > 40, $"{there.Length} public operations were found");
        string missing = string.Join("; ", there.Except(listed)),
            gone = string.Join("; ", listed.Except(there));
        Assert.True(missing.Length == 0, $"Add to the table in PublicOperations.cs: {missing}");
        Assert.True(gone.Length == 0, $"Remove from the table in PublicOperations.cs: {gone}");
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public void No_tensor_is_left_behind(string name)
    {
        PublicOperations.Operation operation = PublicOperations.All[name];
        operation.Run(_shared.World);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 2; i++)
            operation.Run(_shared.World);
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 2 * (operation.Parameters?.Invoke(_shared.World) ?? 0));
    }

    [Fact]
    public void A_mixture_leaves_no_tensor_behind()
    {
        void Use()
        {
            using var model = new MixtureModel(_shared.World.Small.Backbone, [0, 2, 4]);
            model.Transformer.Explain(_shared.World.Image);
            using DplTransformer others = model.Transformer.WithClasses(["pink", "white"]),
                again = new MLContext(1).DifferentiablePromptModel(others.ExportPrompts(), _shared.World.Small.Backbone);
            Assert.NotEmpty(OnnxModel.Written(again));
        }
        Use();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        Use();
        // TorchSharp counts each Parameter once more than it frees. Every layer of both branches has one, and so have each folded image
        // tower and each encoding of new classes.
        int text = _shared.World.Small.Backbone.Config.Text.Layers,
            image = _shared.World.Small.Backbone.Config.Image.Layers;
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, text + image + 3 * image + 2 * text);
    }

    /// <summary>Created once and shared by all operations.</summary>
    public sealed class Shared : IDisposable
    {
        internal PublicOperations.World World { get; } = new();

        public void Dispose() => World.Dispose();
    }
}
