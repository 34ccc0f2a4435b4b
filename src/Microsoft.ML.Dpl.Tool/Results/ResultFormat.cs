namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How a command shows what it found.</summary>
internal enum ResultFormat
{
    /// <summary>For people.</summary>
    Table,

    /// <summary>For programs.</summary>
    Json,
}
