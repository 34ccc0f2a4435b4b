using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Hub;

/// <summary>What may name a repository, a revision, a file and its content. Everything here becomes part of a path, so nothing may lead out
/// of the cache.</summary>
internal static partial class HubNames
{
    private const int LongestRepository = 96;

    public static bool IsRepository(string name) =>
        name.Length <= LongestRepository
        && RepositoryPattern().IsMatch(name)
        && !name.Contains("..", StringComparison.Ordinal)
        && !name.Contains("--", StringComparison.Ordinal);

    /// <exception cref="ArgumentException">It cannot be a branch, a tag or a commit.</exception>
    public static void RequireRevision(string revision)
    {
        if (!IsRelativePath(revision))
            throw new ArgumentException($"'{revision}' is no revision: a branch, a tag or a commit is expected.", nameof(revision));
    }

    /// <summary>Whether it is a whole commit, which never changes.</summary>
    public static bool IsCommit(string? text) => text is { Length: 40 } && text.All(char.IsAsciiHexDigitLower);

    /// <summary>Whether an ETag can be a blob's file name.</summary>
    public static bool IsBlob(string? text) =>
        text is { Length: > 0 and <= 128 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    /// <summary>Whether names separated by slashes stay below the folder they begin in.</summary>
    public static bool IsRelativePath(string path) =>
        path.Length is > 0 and <= 255
        && path.Split('/')
            .All(part =>
                part.Length > 0
                && part.Trim('.', ' ').Length > 0
                && part.All(c => c >= ' ' && !"\\:*?\"<>|".Contains(c, StringComparison.Ordinal))
            );

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?\z")]
    private static partial Regex RepositoryPattern();
}
