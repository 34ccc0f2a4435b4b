using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.VisualBasic.FileIO;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Turns folder names into words that CLIP knows.</summary>
internal static partial class ClassNames
{
    /// <summary>Drops a leading number or WordNet id, splits camel-case words, and replaces underscores and hyphens by spaces:
    /// <c>001.Black_footed-Albatross</c> becomes <c>Black footed Albatross</c>.</summary>
    public static string Clean(string name)
    {
        string words = LeadingNumber().Replace(name, "");
        words = RunTogether().Replace(words, " ");
        words = Separators().Replace(words, " ").Trim();
        return words.Length > 0 ? words : name;
    }

    /// <summary>Returns the images with cleaned class names.</summary>
    /// <exception cref="InvalidDataException">Two classes get the same name.</exception>
    public static ImageSets Clean(ImageSets sets) =>
        Rename(sets, sets.Classes.ToDictionary(name => name, Clean, StringComparer.Ordinal), "--clean-names");

    /// <summary>Returns the images with class names from a table: a class as the data spells it, a tab, and the words for it; classes that
    /// are not in the table keep their names.</summary>
    /// <param name="sets">The images.</param>
    /// <param name="file">The table, without a header line.</param>
    /// <exception cref="InvalidDataException">A row cannot be read or names an unknown class, or two classes get the same name.</exception>
    public static ImageSets Rename(ImageSets sets, string file)
    {
        using var parser = new TextFieldParser(new StringReader(StrictText.Read(file)))
        {
            Delimiters = ["\t"],
            HasFieldsEnclosedInQuotes = false,
        };
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var known = sets.Classes.ToHashSet(StringComparer.Ordinal);
        while (!parser.EndOfData)
        {
            long line = parser.LineNumber;
            if (parser.ReadFields()?.Select(ComposedText.Compose).ToArray() is not [{ Length: > 0 } from, { Length: > 0 } to])
                throw new InvalidDataException($"{file}, line {line}: expected a class, a tab and the words for it.");
            if (!known.Contains(from))
                throw new InvalidDataException(
                    $"{file}, line {line}: there is no class '{from}' in {sets.Source}; the classes are "
                        + $"{string.Join(", ", sets.Classes.Take(20))}{(known.Count > 20 ? ", …" : "")}."
                );
            if (!names.TryAdd(from, to))
                throw new InvalidDataException($"{file}, line {line}: the class '{from}' was named before.");
        }
        return Rename(sets, names, file);
    }

    private static ImageSets Rename(ImageSets sets, Dictionary<string, string> names, string source)
    {
        foreach (
            IGrouping<string, string> same in sets
                .Classes.GroupBy(name => names.GetValueOrDefault(name, name), StringComparer.Ordinal)
                .Where(group => group.Count() > 1)
        )
            throw new InvalidDataException(
                $"{source}: the classes {string.Join(" and ", same.Select(name => $"'{name}'"))} would both be called '{same.Key}'. "
                    + "Give them different names with --names."
            );
        ImageSets renamed = sets.With(
            (_, rows) =>
                [
                    .. rows.Select(row => new ImageRow
                    {
                        ImagePath = row.ImagePath,
                        Label = names.GetValueOrDefault(row.Label, row.Label),
                        Weight = row.Weight,
                    }),
                ]
        );
        return renamed with { ClassOrder = sets.ClassOrder?.Select(name => names.GetValueOrDefault(name, name)).ToArray() };
    }

    /// <summary>Whether a class name is a number or a WordNet id, which means nothing to CLIP.</summary>
    public static bool IsCode(string name) => Code().IsMatch(name);

    [GeneratedRegex(@"^(?:n\d{8}|[\d_.\- ]+)$")]
    private static partial Regex Code();

    [GeneratedRegex(@"^(?:n?\d+)[ ._\-]+(?=\p{L})")]
    private static partial Regex LeadingNumber();

    [GeneratedRegex(@"(?<=\p{Ll})(?=\p{Lu})")]
    private static partial Regex RunTogether();

    [GeneratedRegex(@"[\s_\-]+")]
    private static partial Regex Separators();
}
