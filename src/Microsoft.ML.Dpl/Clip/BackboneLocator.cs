using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Finds the CLIP that a saved model was trained with: a model zip identifies it by SHA-256 and need not contain it.</summary>
internal static class BackboneLocator
{
    /// <summary>The environment variable with folders or files to search, separated as in PATH.</summary>
    public const string EnvironmentVariable = "DPL_CLIP";

    private static readonly ConcurrentDictionary<object, ClipBackbone> Registered = new();

    /// <summary>Makes a backbone available to all models that this process loads.</summary>
    public static void Register(ClipBackbone backbone) => Registered[backbone.Location ?? (object)backbone] = backbone;

    /// <param name="name">The CLIP's name in the model.</param>
    /// <param name="sha256">The SHA-256 of the weights, 64 hexadecimal digits.</param>
    /// <param name="savedLocation">Its location when the model was saved; null if that was not stored.</param>
    /// <param name="savedVocabulary">The location of the vocabulary of a single file in OpenAI's layout; null otherwise.</param>
    /// <exception cref="FileNotFoundException">These weights are in none of the searched places; the message lists what was found there and
    /// how to specify another.</exception>
    public static ClipBackbone Find(string name, string sha256, string? savedLocation, string? savedVocabulary)
    {
        var looked = new List<string>();
        foreach (ClipBackbone backbone in Registered.Values)
        {
            try
            {
                // The same weights may be registered from several places, some of which may no longer exist.
                backbone.RequireUnchanged();
                if (Matches(backbone, sha256))
                    return backbone;
                looked.Add($"{backbone} (registered): other weights, SHA-256 {backbone.Sha256}");
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                looked.Add($"{backbone} (registered): {e.Message}");
            }
        }
        foreach (var (path, source) in Places(name, savedLocation))
        {
            try
            {
                ClipBackbone backbone =
                    path == savedLocation && IsLocal(savedVocabulary)
                        ? ClipBackbone.FromOpenAI(path, savedVocabulary)
                        : ClipBackbone.Open(path);
                if (Matches(backbone, sha256))
                    return backbone;
                looked.Add($"{path} ({source}): other weights, SHA-256 {backbone.Sha256}");
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException or ArgumentException)
            {
                looked.Add($"{path} ({source}): {e.Message}");
            }
        }
        try
        {
            if (ClipBackbone.Embedded().FirstOrDefault(embedded => Matches(embedded, sha256)) is { } tiny)
                return tiny;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            looked.Add($"the CLIPs of Microsoft.ML.Dpl.TinyClip: {e.Message}");
        }
        throw new FileNotFoundException(
            $"This model was trained on the CLIP '{name}' (weights' SHA-256 {sha256}), which the model zip does not contain and which "
                + "was not found. "
                + $"Point to its folder with the environment variable {EnvironmentVariable}, or call "
                + "ClipBackbone.Open(folder).Register() before loading."
                + (looked.Count == 0 ? "" : $" Looked at: {string.Join("; ", looked)}.")
        );
    }

    private static IEnumerable<(string Path, string Source)> Places(string name, string? savedLocation)
    {
        string? variable = Environment.GetEnvironmentVariable(EnvironmentVariable);
        foreach (
            string path in (variable ?? "").Split(
                Path.PathSeparator,
                StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries
            )
        )
            yield return (path, EnvironmentVariable);
        if (IsLocal(savedLocation))
            yield return (savedLocation, "where it was at saving");
        if (InHubCache(name) is { } folder)
            yield return (folder, "the hub's cache");
    }

    /// <summary>The cached folder of a CLIP from the hub, for which a model stores the repository's name. The hub itself is not accessed,
    /// because a model zip may come from an untrusted source.</summary>
    private static string? InHubCache(string name)
    {
        if (!name.Contains('/', StringComparison.Ordinal) || !HubNames.IsRepository(name))
            return null;
        try
        {
            return ClipDownload.Cached(name, HubSettings.From(null));
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException or ArgumentException)
        {
            return null; // the caller's error message lists the other places
        }
    }

    /// <summary>Whether a path is on this machine. A model zip may come from an untrusted source, so a network path in it must not make
    /// this machine connect to it.</summary>
    private static bool IsLocal([NotNullWhen(true)] string? path) =>
        path is not null
        && Path.IsPathFullyQualified(path)
        // Windows also takes \/host, \??\UNC and others for network paths; only a drive is certainly local.
        && (!OperatingSystem.IsWindows() || char.IsAsciiLetter(path[0]))
        && !path.StartsWith(@"\\", StringComparison.Ordinal)
        && !path.StartsWith("//", StringComparison.Ordinal);

    private static bool Matches(ClipBackbone backbone, string sha256) =>
        string.Equals(backbone.Sha256, sha256, StringComparison.OrdinalIgnoreCase);
}

/// <summary>A CLIP that a package contains as embedded resources named <c>model/…</c>, or with another folder name if it contains several.
/// It is unpacked once into the user's cache, under a name derived from its content.</summary>
internal static class EmbeddedBackbone
{
    public const string DefaultFolder = "model";

    /// <param name="assemblyName">The name of the package's assembly.</param>
    /// <param name="model">The folder name that the resources' names begin with.</param>
    /// <returns>Null if the application does not reference the package.</returns>
    /// <exception cref="InvalidDataException">The assembly contains no model.</exception>
    /// <exception cref="IOException">There is no writable folder to unpack to.</exception>
    public static ClipBackbone? TryOpen(string assemblyName, string model = DefaultFolder)
    {
        Assembly assembly;
        try
        {
            assembly = Assembly.Load(assemblyName);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        return Open(assembly, model);
    }

    internal static ClipBackbone Open(Assembly assembly, string model = DefaultFolder)
    {
        string prefix = model + '/';
        string[] resources =
        [
            .. assembly
                .GetManifestResourceNames()
                .Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        if (resources.Length == 0)
            throw new InvalidDataException($"{assembly.GetName().Name} carries no CLIP.");
        string hash = Hash(assembly, resources, prefix.Length);
        return CacheFolders.InFirstWritable(root =>
        {
            string folder = Path.Combine(root, $"{assembly.GetName().Name}-{hash[..16]}");
            if (!Directory.Exists(folder))
                Unpack(assembly, resources, prefix.Length, folder);
            Complete(assembly, resources, prefix.Length, folder);
            return ClipBackbone.FromFolder(folder);
        });
    }

    /// <summary>Restores files that are missing or cut short: systems that clean temporary folders remove single files that were not read
    /// for some days.</summary>
    private static void Complete(Assembly assembly, string[] resources, int prefixLength, string folder)
    {
        foreach (string resource in resources)
        {
            using Stream content = assembly.GetManifestResourceStream(resource)!;
            var file = new FileInfo(Path.Combine(folder, resource[prefixLength..]));
            if (!file.Exists || file.Length != content.Length)
                WholeFile.Write(file.FullName, content.CopyTo);
        }
    }

    private static void Unpack(Assembly assembly, string[] resources, int prefixLength, string folder)
    {
        try
        {
            WholeFolder.Write(folder, unfinished =>
            {
                foreach (string resource in resources)
                {
                    using Stream content = assembly.GetManifestResourceStream(resource)!;
                    using FileStream file = File.Create(Path.Combine(unfinished, resource[prefixLength..]));
                    content.CopyTo(file);
                }
            });
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            // Another process has already unpacked the same content.
        }
    }

    private static string Hash(Assembly assembly, string[] resources, int prefixLength)
    {
        using var hash = new Sha256();
        foreach (string resource in resources)
        {
            using Stream content = assembly.GetManifestResourceStream(resource)!;
            // The hash does not depend on the resources' folder, so the same content always gets the same name.
            hash.Append(Encoding.UTF8.GetBytes($"{DefaultFolder}/{resource[prefixLength..]}"));
            hash.Append(Convert.FromHexString(Sha256.Compute(content)));
        }
        return hash.Finish();
    }
}
