namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>What can be known of images before any work is spent on them.</summary>
internal static class ImageChecks
{
    private const int MostListed = 20;

    /// <summary>Test images are only looked at after the fit: what is wrong with them is to be known before it.</summary>
    /// <param name="sets">With the images that are trained on.</param>
    /// <param name="skipUnreadable">Whether images that cannot be read are left out.</param>
    /// <exception cref="InvalidDataException">The test has a class that the training has not.</exception>
    /// <exception cref="FileNotFoundException">A test image is missing.</exception>
    public static void RequireTest(ImageSets sets, bool skipUnreadable)
    {
        var known = sets.Train.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        RequireKnown(sets.Test, known, "The training images have no examples of");
        if (sets.Test.Count > 0)
            RequireFiles(sets.Test, "test images", skipUnreadable);
    }

    /// <param name="rows">Labelled images.</param>
    /// <param name="known">The classes that there are.</param>
    /// <param name="lack">The beginning of the sentence that names those that there are not.</param>
    /// <exception cref="InvalidDataException">A label is none of the classes.</exception>
    public static void RequireKnown(IEnumerable<ImageRow> rows, IReadOnlyCollection<string> known, string lack)
    {
        string[] unknown =
        [
            .. rows.Select(row => row.Label)
                .Distinct(StringComparer.Ordinal)
                .Except(known, StringComparer.Ordinal)
                .Order(StringComparer.Ordinal),
        ];
        if (unknown.Length == 0)
            return;
        throw new InvalidDataException(
            $"{lack} {(unknown.Length == 1 ? "the class" : "the classes")} {Listed(unknown)}; the classes are {Listed([.. known])}. "
                + "Rename classes with --names or --clean-names, or leave them out."
        );
    }

    /// <param name="rows">At least one image.</param>
    /// <param name="what">What a message calls them.</param>
    /// <param name="skipUnreadable">Whether some may be missing; not all.</param>
    /// <exception cref="FileNotFoundException">An image is missing, or all are.</exception>
    public static void RequireFiles(IReadOnlyList<ImageRow> rows, string what, bool skipUnreadable)
    {
        ImageRow[] missing = [.. rows.Where(row => !File.Exists(row.ImagePath))];
        if (missing.Length == 0 || (skipUnreadable && missing.Length < rows.Count))
            return;
        string path = missing[0].ImagePath;
        string advice =
            missing.Length == rows.Count
                ? "Relative paths start at the file's folder: name another with --image-root."
                : "Mend the paths, or give --skip-unreadable to leave such images out.";
        throw new FileNotFoundException(
            $"{(missing.Length == 1 ? "One" : $"{missing.Length}")} of {rows.Count} {what} {(missing.Length == 1 ? "is" : "are")} "
                + $"missing, the first is '{path}'.{ImagePaths.Hint(path)} {advice}",
            path
        );
    }

    private static string Listed(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(MostListed).Select(name => $"'{name}'")) + (names.Count > MostListed ? ", …" : "");
}
