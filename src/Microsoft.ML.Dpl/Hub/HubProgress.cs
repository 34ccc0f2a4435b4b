namespace Microsoft.ML.Dpl.Hub;

/// <summary>How far the download of one file is.</summary>
/// <param name="File">Its name in the repository.</param>
/// <param name="Bytes">Bytes that are here, those of an earlier try included.</param>
/// <param name="TotalBytes">Bytes of the whole file.</param>
public readonly record struct HubProgress(string File, long Bytes, long TotalBytes);
