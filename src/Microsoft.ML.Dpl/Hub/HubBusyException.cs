namespace Microsoft.ML.Dpl.Hub;

/// <summary>A server that may answer the same request later.</summary>
/// <param name="message">What it said.</param>
/// <param name="wait">How long it asked to be left alone; zero where it did not say.</param>
internal sealed class HubBusyException(string message, TimeSpan wait) : IOException(message)
{
    public TimeSpan Wait { get; } = wait;
}
