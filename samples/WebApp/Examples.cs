namespace WebApp;

/// <summary>Example images to try the demo model on.</summary>
internal static class Examples
{
    /// <summary>The file names; empty if a model was given or the demo model is not ready yet.</summary>
    public static string[] List(ModelHost host) =>
        host is { Model: not null, ExamplesFolder: { } folder } && Directory.Exists(folder)
            ? [.. Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)]
            : [];

    /// <summary>Serves an image. Only names in the list are accepted, so that no path can lead out of the folder.</summary>
    public static IResult Image(string name, ModelHost host) =>
        List(host).Contains(name, StringComparer.Ordinal)
            ? TypedResults.PhysicalFile(
                Path.Combine(host.ExamplesFolder!, name),
                Path.GetExtension(name) == ".jpg" ? "image/jpeg" : "image/png"
            )
            : TypedResults.NotFound();
}
