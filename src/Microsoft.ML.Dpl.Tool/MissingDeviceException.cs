namespace Microsoft.ML.Dpl.Tool;

/// <summary>The GPU that was asked for cannot be used. The message says what to do.</summary>
internal sealed class MissingDeviceException(string message) : Exception(message);
