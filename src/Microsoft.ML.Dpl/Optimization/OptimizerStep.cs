using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>One forward, backward and step. Nothing it makes outlives it.</summary>
internal static class OptimizerStep
{
    /// <param name="optimizer">Steps the parameters that require gradients.</param>
    /// <param name="loss">The forward pass, given the owner of its custom gradients.</param>
    /// <param name="stage">For the message if loss or gradients are not finite; so are the parameters that follow.</param>
    /// <param name="epoch">From 0.</param>
    /// <param name="step">From 0.</param>
    /// <param name="batch">What the loss is of; null where that is not known.</param>
    /// <param name="ofValidation">Whether the batch has validation images.</param>
    /// <param name="maxGradientNorm">Longest gradient of all stepped parameters together, above 0; null: any.</param>
    /// <returns>The loss before the step.</returns>
    /// <exception cref="DivergedException">The loss or a gradient is infinite or not a number; nothing was stepped.</exception>
    public static double Take(
        optim.Optimizer optimizer,
        Func<BackwardTensors, Tensor> loss,
        DplStage stage,
        int epoch,
        int step,
        ImageBatch? batch = null,
        bool ofValidation = false,
        double? maxGradientNorm = null
    )
    {
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        Tensor value = loss(backward);
        optimizer.zero_grad();
        value.backward();
        backward.ThrowFailure();
        (double number, double largestGradient) = Read(value, optimizer.parameters());
        DivergedException Diverged(Watched watched, double became) =>
            new(stage, epoch, step, watched, became, batch?.SourceRows ?? [], ofValidation);
        if (!double.IsFinite(number))
            throw Diverged(Watched.Loss, number);
        if (!double.IsFinite(largestGradient))
            throw Diverged(Watched.Gradient, largestGradient);
        if (maxGradientNorm is double bound)
            GradientNorm.Bound(optimizer.parameters(), bound);
        optimizer.step();
        return number;
    }

    /// <summary>The loss and the largest magnitude among the gradients, which is NaN where one of them is: read together, so that the host
    /// waits for the device once a step.</summary>
    private static (double Loss, double LargestGradient) Read(Tensor loss, IEnumerable<Tensor> parameters)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Tensor[] gradients = [.. parameters.Select(p => p.grad).OfType<Tensor>().Select(gradient => gradient.abs().max())];
        float[] read = stack([loss.detach(), .. gradients]).cpu().data<float>().ToArray();
        double largest = 0;
        // Math.Max passes NaN on.
        foreach (float gradient in read.Skip(1))
            largest = Math.Max(largest, gradient);
        return (read[0], largest);
    }
}
