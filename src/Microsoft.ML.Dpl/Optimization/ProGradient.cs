using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Optimization;

/// <summary>
/// Removes from a loss's gradient a the part that conflicts with the gradient b of what the model already knows: where a · b is below 0, a
/// becomes a − λ (a · b̂) b̂ with b̂ = b / ‖b‖ (ProGrad, Zhu, Niu, Han, Wu, Zhang, ICCV 2023, arXiv 2205.14865, equation 4), parameter by
/// parameter as in the authors' code.
/// </summary>
/// <param name="weight">λ, above 0.</param>
/// <param name="parameters">The parameters whose gradients are changed; not owned.</param>
/// <param name="known">Computes the loss whose gradient is b in its own forward pass, given the owner of custom gradients.</param>
internal sealed class ProGradient(double weight, IReadOnlyList<Parameter> parameters, Func<BackwardTensors, Tensor> known)
{
    /// <summary>
    /// Computes b, one tensor per parameter, null where the loss does not depend on it; in the caller's dispose scope. The optimizer's
    /// current gradients are overwritten.
    /// </summary>
    /// <param name="optimizer">The optimizer of the parameters.</param>
    public IReadOnlyList<Tensor?> Known(optim.Optimizer optimizer)
    {
        using var backward = new BackwardTensors();
        Tensor loss = known(backward);
        optimizer.zero_grad();
        loss.backward();
        backward.ThrowFailure();
        using var noGrad = no_grad();
        return [.. parameters.Select(parameter => parameter.grad?.clone())];
    }

    /// <summary>Changes the current gradients of the parameters.</summary>
    /// <param name="knownGradients">The result of <see cref="Known"/>.</param>
    public void Project(IReadOnlyList<Tensor?> knownGradients)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (parameter, direction) in parameters.Zip(knownGradients))
            if (parameter.grad is { } gradient && direction is not null)
                gradient.sub_(Conflict(gradient, direction).Times(weight));
    }

    /// <summary>
    /// The component of a gradient along a direction if it opposes that direction; zeros if it does not or if the direction is zero.
    /// Nothing is read back from the device.
    /// </summary>
    public static Tensor Conflict(Tensor gradient, Tensor direction)
    {
        using var scope = NewDisposeScope();
        Tensor square = direction.square().sum(),
            product = (gradient * direction).sum().AtMost(0);
        return (direction * where(square.greater(zeros_like(square)), product / square, zeros_like(square))).MoveToOuterDisposeScope();
    }
}
