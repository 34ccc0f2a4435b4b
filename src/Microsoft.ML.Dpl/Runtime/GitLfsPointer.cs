namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Recognises the text file of a few lines that Git leaves in place of a large file if Git LFS did not fetch it.</summary>
internal static class GitLfsPointer
{
    // The specification's limit, in bytes.
    private const int Longest = 1024;

    /// <summary>Describes such a file and says what to do; completes the sentence of a message.</summary>
    public const string Advice =
        "a Git LFS pointer instead of the file itself. Run git lfs install and git lfs pull in its repository, or download the file from "
        + "its page";

    /// <param name="bytes">The beginning of a file, or all of it.</param>
    public static bool IsBeginning(ReadOnlySpan<byte> bytes) => bytes.StartsWith("version https://git-lfs.github.com/spec/"u8);

    /// <param name="path">An existing file.</param>
    /// <exception cref="InvalidDataException">The file is such a pointer.</exception>
    public static void Refuse(string path)
    {
        using FileStream file = File.OpenRead(path);
        Span<byte> start = stackalloc byte[64];
        if (!file.CanSeek || file.Length > Longest)
            return;
        if (IsBeginning(start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)]))
            throw new InvalidDataException($"{ShownText.Escape(path)} is {Advice}.");
    }
}
