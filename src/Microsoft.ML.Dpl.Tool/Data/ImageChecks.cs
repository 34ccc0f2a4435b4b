namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Checks of images that can be done before any expensive work.</summary>
internal static class ImageChecks
{
    private const int MostListed = 20;

    /// <summary>Checks the test images before the fit, although they are only used after it.</summary>
    /// <param name="sets">The image sets, including the training images.</param>
    /// <param name="skipUnreadable">Whether images that cannot be read are left out.</param>
    /// <exception cref="InvalidDataException">The test images have a class that the training images lack.</exception>
    /// <exception cref="FileNotFoundException">A test image is missing.</exception>
    public static void RequireTest(ImageSets sets, bool skipUnreadable)
    {
        var known = sets.Train.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        RequireKnown(sets.Test, known, "The training images have no examples of");
        if (sets.Test.Count > 0)
            RequireFiles(sets.Test, "test images", skipUnreadable);
    }

    /// <param name="rows">Labelled images.</param>
    /// <param name="known">The known classes.</param>
    /// <param name="lack">The beginning of the message's sentence that lists the unknown classes.</param>
    /// <exception cref="InvalidDataException">A label is not a known class.</exception>
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
    /// <param name="what">What to call the images in messages.</param>
    /// <param name="skipUnreadable">Whether some images, but not all, may be missing.</param>
    /// <exception cref="FileNotFoundException">An image is missing and none may be, or all are missing.</exception>
    public static void RequireFiles(IReadOnlyList<ImageRow> rows, string what, bool skipUnreadable)
    {
        ImageRow[] missing = [.. rows.Where(row => !File.Exists(row.ImagePath))];
        if (missing.Length == 0 || (skipUnreadable && missing.Length < rows.Count))
            return;
        string path = missing[0].ImagePath;
        string advice =
            missing.Length == rows.Count
                ? "Relative paths start at the file's folder: name another with --image-root."
                : "Correct the paths, or give --skip-unreadable to leave such images out.";
        throw new FileNotFoundException(
            $"{(missing.Length == 1 ? "One" : $"{missing.Length}")} of {rows.Count} {what} {(missing.Length == 1 ? "is" : "are")} "
                + $"missing, the first is '{path}'.{ImagePaths.Hint(path)} {advice}",
            path
        );
    }

    private static string Listed(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(MostListed).Select(name => $"'{name}'")) + (names.Count > MostListed ? ", …" : "");
}
