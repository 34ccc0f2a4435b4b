namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Where files that can be made again are kept: the user's cache, or a private temporary folder where there is none to write
/// to.</summary>
internal static class CacheFolders
{
    /// <summary>Makes a file or folder below the first root that can be written.</summary>
    /// <param name="make">Given a root; throws <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/> where it cannot write
    /// there.</param>
    /// <exception cref="IOException">No root can be written.</exception>
    public static T InFirstWritable<T>(Func<string, T> make)
    {
        var refusals = new List<Exception>();
        foreach (string root in Roots())
        {
            try
            {
                return make(Path.Combine(root, "Microsoft.ML.Dpl"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                refusals.Add(e); // a read-only home is common in containers: the next place is tried
            }
        }
        throw new IOException(
            "Neither the user's cache nor the temporary folder can be written. Set XDG_CACHE_HOME to a folder that can.",
            new AggregateException(refusals)
        );
    }

    private static IEnumerable<string> Roots()
    {
        if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache)
            yield return cache;
        if (OperatingSystem.IsWindows())
            yield return Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
        else if (Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } home)
            yield return Path.Combine(home, ".cache");
        // A private, randomly named folder: nobody else can place a library there.
        yield return Directory.CreateTempSubdirectory("dpl-").FullName;
    }
}
