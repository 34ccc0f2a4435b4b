using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Network;

/// <summary>
/// A learned vector beside the text feature of each class (TaskRes, Yu, Lu, Jin, Chen, Wang, CVPR 2023, arXiv 2211.10277): what the images
/// show of a class and no text says. A class feature is unit(t + α · r / √embedding), t being the unit feature of its text and r its row
/// of the values. Owns its parameter.
/// </summary>
/// <remarks>The paper has t + α · r. The numbers of a unit vector are about 1/√embedding, so that with the root one α, and one learning
/// rate, mean the same in CLIPs of any width.</remarks>
internal sealed class TaskResidual : IDisposable
{
    /// <summary>Takes a copy of the given values.</summary>
    /// <param name="values">[classes, embedding]: r</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">Where it is computed with.</param>
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

    /// <summary>As training begins with it: nothing is added.</summary>
    /// <param name="classes">The number of classes.</param>
    /// <param name="width">Of the embedding.</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">Where it is computed with.</param>
    public static TaskResidual Create(int classes, int width, double scale, Device device)
    {
        using var scope = NewDisposeScope();
        return new TaskResidual(zeros(classes, width, ScalarType.Float32), scale, device);
    }

    /// <summary>One that adds these offsets.</summary>
    /// <param name="offsets">[classes, embedding] what is added to unit features; copied.</param>
    /// <param name="scale">α, above 0.</param>
    /// <param name="device">Where it is computed with.</param>
    public static TaskResidual From(Tensor offsets, double scale, Device device)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        return new TaskResidual(offsets.Times(Math.Sqrt(offsets.shape[1]) / scale), scale, device);
    }

    /// <summary>[classes, embedding] what is added to unit features; in the caller's dispose scope.</summary>
    public Tensor Offsets() => Values.Times(Scale / Math.Sqrt(Values.shape[1]));

    /// <summary>Class features with offsets, as unit rows again.</summary>
    /// <param name="unitFeatures">[classes, embedding] of the texts.</param>
    /// <param name="offsets">[classes, embedding]; null: the features are returned as they are.</param>
    public static Tensor Add(Tensor unitFeatures, Tensor? offsets) =>
        offsets is null ? unitFeatures : PromptedClip.UnitRows(unitFeatures.Plus(offsets));

    public void Dispose() => Values.Dispose();
}

/// <summary>A text branch whose class features get a residual.</summary>
/// <param name="branch">The prompts and the context of the tower; not owned.</param>
/// <param name="residual">Not owned.</param>
internal sealed class ResidualBranch(IPromptedBranch branch, TaskResidual residual) : IPromptedBranch
{
    public IReadOnlyList<Parameter> Parameters => [.. branch.Parameters, residual.Values];

    public bool IsPlain => branch.IsPlain;

    public IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) => branch.Layers(stand);

    public Tensor? Context(Func<Parameter, Tensor> stand) => branch.Context(stand);

    public Tensor ClassOffsets() => residual.Offsets();
}
