using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// A learned vector added to the text feature of each class (TaskRes, Yu, Lu, Jin, Chen, Wang, CVPR 2023, arXiv 2211.10277), for visual
/// traits of a class that no text expresses. A class feature is unit(t + α · r / √embedding), where t is the unit feature of its text and
/// r its row of the values. Owns its parameter.
/// </summary>
/// <remarks>The paper has t + α · r. The elements of a unit vector are about 1/√embedding, so with the root, α and the learning rate
/// mean the same for CLIPs of any width.</remarks>
internal sealed class TaskResidual : IDisposable
{
    /// <summary>Takes a copy of the given values.</summary>
    /// <param name="values">[classes, embedding]: r</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">The device of the values.</param>
    public TaskResidual(Tensor values, double scale, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        (Values, Scale) = (PromptedBranches.Learned(values.to(device)), scale);
    }

    /// <summary>[classes, embedding]: r</summary>
    public Parameter Values { get; }

    /// <summary>α, above 0.</summary>
    public double Scale { get; }

    /// <summary>The initial residual, which adds nothing.</summary>
    /// <param name="classes">The number of classes.</param>
    /// <param name="width">Width of the embedding.</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">The device of the values.</param>
    public static TaskResidual Create(int classes, int width, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        return new TaskResidual(zeros(classes, width, ScalarType.Float32), scale, device);
    }

    /// <summary>A residual that adds the given offsets.</summary>
    /// <param name="offsets">[classes, embedding] offsets added to unit features; copied.</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">The device of the values.</param>
    public static TaskResidual From(Tensor offsets, double scale, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new TaskResidual(offsets.Times(Math.Sqrt(offsets.shape[1]) / scale), scale, device);
    }

    /// <summary>[classes, embedding] offsets added to unit features; in the caller's dispose scope.</summary>
    public Tensor Offsets() => Values.Times(Scale / Math.Sqrt(Values.shape[1]));

    /// <summary>Adds offsets to class features and normalises the rows again.</summary>
    /// <param name="unitFeatures">[classes, embedding] unit features of the texts.</param>
    /// <param name="offsets">[classes, embedding]; null: the features are returned unchanged.</param>
    public static Tensor Add(Tensor unitFeatures, Tensor? offsets) =>
        offsets is null ? unitFeatures : PromptedClip.UnitRows(unitFeatures.Plus(offsets));

    public void Dispose() => Values.Dispose();
}

/// <summary>A text branch whose class features get a residual.</summary>
/// <param name="branch">The prompts and the context of the tower; not owned.</param>
/// <param name="residual">The residual; not owned.</param>
internal sealed class ResidualBranch(IPromptedBranch branch, TaskResidual residual) : IPromptedBranch
{
    public IReadOnlyList<Parameter> Parameters => [.. branch.Parameters, residual.Values];

    public bool IsPlain => branch.IsPlain;

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) => branch.Layers(stand);

    public Tensor? Context(Func<Parameter, Tensor> stand) => branch.Context(stand);

    public Tensor ClassOffsets() => residual.Offsets();
}
