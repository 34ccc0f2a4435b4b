using Microsoft.ML.Dpl.Attention;

namespace PretrainTinyClip;

/// <summary>Resources that a forward pass creates and the backward pass still needs; disposed at the end of the step.</summary>
internal sealed class StepResources : IDisposable
{
    private readonly List<IDisposable> _kept = [];

    public BackwardTensors Backward { get; } = new();

    public T Keep<T>(T resource)
        where T : IDisposable
    {
        _kept.Add(resource);
        return resource;
    }

    public void Dispose()
    {
        foreach (IDisposable resource in _kept)
            resource.Dispose();
        Backward.Dispose();
    }
}
