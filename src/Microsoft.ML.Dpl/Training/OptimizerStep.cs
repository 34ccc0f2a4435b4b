using Microsoft.ML.Dpl.Prompts;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>One forward, backward and step. Nothing it makes outlives it.</summary>
internal static class OptimizerStep
{
    /// <param name="optimizer">Steps the parameters that require gradients.</param>
    /// <param name="loss">The forward pass, given the owner of its custom gradients.</param>
    /// <param name="stage">For the message if the loss is not finite.</param>
    /// <param name="epoch">From 0.</param>
    /// <param name="step">From 0.</param>
    /// <param name="maxGradientNorm">Longest gradient of all stepped parameters together, above 0; null: any.</param>
    /// <returns>The loss before the step.</returns>
    /// <exception cref="InvalidOperationException">The loss is infinite or not a number; nothing was stepped.</exception>
    public static double Take(optim.Optimizer optimizer, Func<BackwardTensors, Tensor> loss, RunStage stage, int epoch, int step, double? maxGradientNorm = null)
    {
        using var scope = NewDisposeScope();
        using var backward = new BackwardTensors();
        Tensor value = loss(backward);
        double number = value.item<float>();
        if (!double.IsFinite(number))
            throw new InvalidOperationException($"The loss became {number} in {stage.ToString().ToLowerInvariant()} epoch {epoch + 1}, step {step + 1}. Lower the learning rate of this stage, or look for broken pictures in the training set.");
        optimizer.zero_grad();
        value.backward();
        backward.ThrowFailure();
        if (maxGradientNorm is double bound) GradientNorm.Bound(optimizer.parameters(), bound);
        optimizer.step();
        return number;
    }
}
