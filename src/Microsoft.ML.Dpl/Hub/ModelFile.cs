using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>Small files of a CLIP, read with what holds for all of them: a pointer of Git LFS is none, and one of the hub's cache must be
/// what its name there says.</summary>
internal static class ModelFile
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is a pointer of Git LFS, or was damaged in the hub's cache.</exception>
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

    /// <summary>The refusal of a file in the hub's cache.</summary>
    /// <param name="path">The file's name in a snapshot.</param>
    /// <param name="blob">The hash by which the cache keeps it.</param>
    public static InvalidDataException Damaged(string path, string blob) =>
        new(
            $"{path}: the content is not what the hub's cache keeps it as ({blob}), so it was damaged on the disk. Delete "
                + $"'{File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName}' and download the model again."
        );
}
