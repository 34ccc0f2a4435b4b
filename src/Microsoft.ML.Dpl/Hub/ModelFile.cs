using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Reads small files of a CLIP model. Rejects Git LFS pointers, and files in the hub's cache whose content does not match the hash
/// under which the cache stores them.</summary>
internal static class ModelFile
{
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is a Git LFS pointer, or was damaged in the hub's cache.</exception>
    public static byte[] ReadAll(string path)
    {
        Require(path);
        return File.ReadAllBytes(path);
    }

    /// <inheritdoc cref="ReadAll"/>
    public static FileStream Open(string path)
    {
        Require(path);
        return File.OpenRead(path);
    }

    private static void Require(string path)
    {
        GitLfsPointer.Refuse(path);
        if (HubCache.BlobOf(path) is { } blob && BlobHash.Check(path, blob, CancellationToken.None) == false)
            throw Damaged(path, blob);
    }

    /// <summary>The exception for a damaged file in the hub's cache.</summary>
    /// <param name="path">The file's path in a snapshot.</param>
    /// <param name="blob">The hash under which the cache stores it.</param>
    public static InvalidDataException Damaged(string path, string blob) =>
        new(
            $"{path}: the content does not match the hash that the hub's cache names it by ({blob}), so the file is damaged. Delete "
                + $"'{File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName}' and download the model again."
        );
}
