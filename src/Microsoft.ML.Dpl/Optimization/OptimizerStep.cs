using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The losses that a step computes.</summary>
/// <param name="Minimised">[] the loss that is differentiated.</param>
/// <param name="Reported">[] the loss that is comparable between models: the cross-entropy alone.</param>
internal readonly record struct StepLoss(Tensor Minimised, Tensor Reported)
{
    public static implicit operator StepLoss(Tensor loss) => new(loss, loss);
}

/// <summary>One forward pass, backward pass and optimizer step. All tensors that it creates are disposed at its end.</summary>
internal static class OptimizerStep
{
    /// <param name="optimizer">The optimizer of the parameters that require gradients.</param>
    /// <param name="loss">The forward pass, given the owner of custom gradients.</param>
    /// <param name="stage">The stage, reported in exceptions, as are epoch, step and batch.</param>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="step">The step within the epoch, from 0.</param>
    /// <param name="batch">The images of the loss; null if they are not known.</param>
    /// <param name="isInValidation">Whether the batch consists of validation images.</param>
    /// <param name="maxGradientNorm">Largest norm of the gradient of all updated parameters together, above 0; null: unlimited.</param>
    /// <param name="proGradient">Changes the gradients before they are clipped; null: they are not changed.</param>
    /// <returns>The reported loss before the step.</returns>
    /// <exception cref="NonFiniteValueException">The loss or a gradient is infinite or NaN; no parameter was changed.</exception>
    public static double Take(
        optim.Optimizer optimizer,
        Func<BackwardTensors, StepLoss> loss,
        FitStage stage,
        int epoch,
        int step,
        ImageBatch? batch = null,
        bool isInValidation = false,
        double? maxGradientNorm = null,
        ProGradient? proGradient = null
    )
    {
        using var scope = NewDisposeScope();
        IReadOnlyList<Tensor?>? known = proGradient?.Known(optimizer);
        using var backward = new BackwardTensors();
        StepLoss value = loss(backward);
        optimizer.zero_grad();
        value.Minimised.backward();
        backward.ThrowFailure();
        if (known is not null)
            proGradient!.Project(known);
        (double number, double reported, double largestGradient) = Read(value, optimizer.parameters());
        NonFiniteValueException Diverged(Watched watched, double became) =>
            new(stage, epoch, step, watched, became, batch?.SourceRows ?? [], isInValidation);
        if (!double.IsFinite(number))
            throw Diverged(Watched.Loss, number);
        if (!double.IsFinite(largestGradient))
            throw Diverged(Watched.Gradient, largestGradient);
        if (maxGradientNorm is double bound)
            GradientNorm.Bound(optimizer.parameters(), bound);
        optimizer.step();
        return reported;
    }

    /// <summary>
    /// Both losses and the largest magnitude of a gradient, which is NaN if any gradient is; read in one transfer, so that the host waits
    /// for the device once per step.
    /// </summary>
    private static (double Minimised, double Reported, double LargestGradient) Read(StepLoss loss, IEnumerable<Tensor> parameters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. parameters.Select(p => p.grad).OfType<Tensor>().Select(gradient => gradient.abs().max())];
        float[] read = stack([loss.Minimised.detach(), loss.Reported.detach(), .. gradients]).cpu().data<float>().ToArray();
        double largest = 0;
        // Math.Max propagates NaN.
        foreach (float gradient in read.Skip(2))
            largest = Math.Max(largest, gradient);
        return (read[0], read[1], largest);
    }
}

/// <summary>
/// Clips the norm of the gradient of several parameters together (Pascanu, Mikolov, Bengio, ICML 2013, arXiv 1211.5063, algorithm 1).
/// </summary>
internal static class GradientNorm
{
    /// <summary>
    /// If the norm is above the bound, scales all gradients in place by one factor. Nothing is read back from the device, and the order of
    /// summation is fixed.
    /// </summary>
    /// <param name="parameters">The parameters; those without a gradient are ignored.</param>
    /// <param name="bound">The largest norm allowed, above 0.</param>
    public static void Bound(IEnumerable<Tensor> parameters, double bound)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. parameters.Select(parameter => parameter.grad).OfType<Tensor>()];
        if (gradients.Length == 0)
            return;
        Tensor norm = Norm(gradients); // []
        // For a norm of 0 the quotient is infinite and the factor 1, so nothing changes.
        Tensor factor = norm.reciprocal().Times(bound).AtMost(1);
        foreach (Tensor gradient in gradients)
            gradient.mul_(factor.to_type(gradient.dtype));
    }

    /// <summary>[] the common norm in double precision, on the gradients' device, in the caller's dispose scope.</summary>
    public static Tensor Norm(IReadOnlyList<Tensor> gradients) =>
        stack(gradients.Select(gradient => gradient.to_type(ScalarType.Float64).square().sum())).sum().sqrt();
}
