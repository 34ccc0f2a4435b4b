using System.Reflection;
using System.Security.Cryptography;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>A CLIP that a package carries as resources named <c>model/…</c>; unpacked into the user's cache once, under a name made of its
/// content.</summary>
internal static class EmbeddedBackbone
{
    private const string Prefix = "model/";

    /// <param name="assemblyName">The package's assembly.</param>
    /// <returns>Null where the application does not reference the package.</returns>
    /// <exception cref="InvalidDataException">The assembly carries no model.</exception>
    /// <exception cref="IOException">There is no place to unpack to.</exception>
    public static ClipBackbone? TryOpen(string assemblyName)
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
        return Open(assembly);
    }

    internal static ClipBackbone Open(Assembly assembly)
    {
        string[] resources =
        [
            .. assembly
                .GetManifestResourceNames()
                .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];
        if (resources.Length == 0)
            throw new InvalidDataException($"{assembly.GetName().Name} carries no CLIP.");
        string hash = Hash(assembly, resources);
        return CacheFolders.InFirstWritable(root =>
        {
            string folder = Path.Combine(root, $"{assembly.GetName().Name}-{hash[..16]}");
            if (!Directory.Exists(folder))
                Unpack(assembly, resources, folder);
            return ClipBackbone.FromFolder(folder);
        });
    }

    private static void Unpack(Assembly assembly, string[] resources, string folder)
    {
        string partial = $"{folder}.{Guid.NewGuid():n}";
        Directory.CreateDirectory(partial);
        foreach (string resource in resources)
        {
            using Stream content = assembly.GetManifestResourceStream(resource)!;
            using FileStream file = File.Create(Path.Combine(partial, resource[Prefix.Length..]));
            content.CopyTo(file);
        }
        try
        {
            Directory.Move(partial, folder);
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            Directory.Delete(partial, recursive: true); // another process was first, with the same content
        }
    }

    private static string Hash(Assembly assembly, string[] resources)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string resource in resources)
        {
            using Stream content = assembly.GetManifestResourceStream(resource)!;
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(resource));
            hash.AppendData(SHA256.HashData(content));
        }
        return Convert.ToHexString(hash.GetHashAndReset()).ToLowerInvariant();
    }
}
