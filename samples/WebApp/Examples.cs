namespace WebApp;

/// <summary>The images that the small model can be tried on.</summary>
internal static class Examples
{
    /// <summary>File names; empty where a model was given, or the small one is not made yet.</summary>
    public static string[] List(ModelHost host) =>
        host is { Model: not null, ExamplesFolder: { } folder } && Directory.Exists(folder)
            ? [.. Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)]
            : [];

    /// <summary>An image. Only names of the list are looked at, so no path leads out of the folder.</summary>
    public static IResult Image(string name, ModelHost host) =>
        List(host).Contains(name, StringComparer.Ordinal)
            ? TypedResults.PhysicalFile(
                Path.Combine(host.ExamplesFolder!, name),
                Path.GetExtension(name) == ".jpg" ? "image/jpeg" : "image/png"
            )
            : TypedResults.NotFound();
}
