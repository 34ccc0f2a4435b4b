using Microsoft.ML.Dpl.Attention;

namespace PretrainTinyClip;

/// <summary>What a forward pass makes and its backward pass still reads; disposed when the step ends.</summary>
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
