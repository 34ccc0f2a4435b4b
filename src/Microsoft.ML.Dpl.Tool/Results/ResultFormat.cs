namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The format in which a command writes its results.</summary>
internal enum ResultFormat
{
    /// <summary>A table to read on the terminal.</summary>
    Table,

    /// <summary>JSON, for use by other programs.</summary>
    Json,
}
