namespace Microsoft.ML.Dpl.Tool;

/// <summary>The requested GPU cannot be used. The message says what to do.</summary>
internal sealed class MissingDeviceException(string message) : Exception(message);
