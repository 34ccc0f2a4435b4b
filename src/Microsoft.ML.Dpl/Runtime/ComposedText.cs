using System.Globalization;
using System.Reflection;
using System.Text;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Unicode's composed form (NFC) of a text, used to compare names, since file systems and editors encode the same letters differently. It
/// has its own tables, because .NET has none in globalization-invariant mode.
/// </summary>
internal static class ComposedText
{
    // All characters below are already composed.
    private const char FirstThatMayChange = '\u0300';

    private const int HangulBase = 0xAC00,
        LeadBase = 0x1100,
        VowelBase = 0x1161,
        TailBase = 0x11A7,
        Leads = 19,
        Vowels = 21,
        Tails = 28,
        Syllables = Leads * Vowels * Tails;

    private static readonly Lazy<Tables> Known = new(Tables.Read);

    /// <param name="text">Any text; if it contains a character that may change, lone surrogates become U+FFFD.</param>
    /// <returns>The same text, composed.</returns>
    public static string Compose(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange(FirstThatMayChange, char.MaxValue) < 0)
            return text;
        var points = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            Decompose(rune.Value, points);
        Order(points);
        return Compose(points);
    }

    private static void Decompose(int point, List<int> into)
    {
        int syllable = point - HangulBase;
        if (syllable is >= 0 and < Syllables)
        {
            into.Add(LeadBase + syllable / (Vowels * Tails));
            into.Add(VowelBase + syllable / Tails % Vowels);
            if (syllable % Tails > 0)
                into.Add(TailBase + syllable % Tails);
        }
        else if (Known.Value.Parts.TryGetValue(point, out int[]? parts))
        {
            foreach (int part in parts)
                Decompose(part, into);
        }
        else
        {
            into.Add(point);
        }
    }

    /// <summary>Sorts the marks after a letter by combining class; the order of equal ones is kept.</summary>
    private static void Order(List<int> points)
    {
        for (int i = 1; i < points.Count; i++)
        {
            int point = points[i],
                mark = Class(point),
                to = i;
            for (; mark > 0 && to > 0 && Class(points[to - 1]) > mark; to--)
                points[to] = points[to - 1];
            points[to] = point;
        }
    }

    private static string Compose(List<int> points)
    {
        var composed = new List<int>(points.Count);
        int letter = -1, // index of the current base letter; −1: none yet
            before = 0; // combining class of the last mark kept after it
        foreach (int point in points)
        {
            int mark = Class(point);
            bool isNext = letter == composed.Count - 1;
            if (letter >= 0 && (isNext || (before < mark && before > 0)) && Pair(composed[letter], point) is { } one)
            {
                composed[letter] = one;
                continue;
            }
            composed.Add(point);
            (letter, before) = mark == 0 ? (composed.Count - 1, 0) : (letter, mark);
        }
        var text = new StringBuilder(composed.Count);
        foreach (int point in composed)
            text.Append(char.ConvertFromUtf32(point));
        return text.ToString();
    }

    private static int? Pair(int first, int second)
    {
        if (first - LeadBase is >= 0 and < Leads && second - VowelBase is >= 0 and < Vowels)
            return HangulBase + ((first - LeadBase) * Vowels + second - VowelBase) * Tails;
        if (first - HangulBase is >= 0 and < Syllables && (first - HangulBase) % Tails == 0 && second - TailBase is > 0 and < Tails)
            return first + second - TailBase;
        return Known.Value.Pairs.TryGetValue((first, second), out int composed) ? composed : null;
    }

    private static int Class(int point) => Known.Value.Classes.GetValueOrDefault(point);

    /// <summary>The data of the Unicode Character Database about composition.</summary>
    /// <param name="Parts">The one or two code points that a code point decomposes to.</param>
    /// <param name="Pairs">The code point that two code points compose to.</param>
    /// <param name="Classes">Canonical combining classes above 0.</param>
    private sealed record Tables(Dictionary<int, int[]> Parts, Dictionary<(int, int), int> Pairs, Dictionary<int, int> Classes)
    {
        private const string Resource = "canonical-composition.txt";

        public static Tables Read()
        {
            var tables = new Tables([], [], []);
            using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Resource)!;
            using var reader = new StreamReader(stream);
            while (reader.ReadLine() is { } line)
                if (!line.StartsWith('#'))
                    foreach (string entry in line.Split(';'))
                        tables.Add(entry);
            return tables;
        }

        private void Add(string entry)
        {
            int at = entry.AsSpan().IndexOfAny('=', '!', ':');
            string before = entry[..at],
                after = entry[(at + 1)..];
            if (entry[at] == ':')
            {
                int dash = before.IndexOf('-', StringComparison.Ordinal);
                for (int point = Hexadecimal(before[..dash]); point <= Hexadecimal(before[(dash + 1)..]); point++)
                    Classes[point] = int.Parse(after, CultureInfo.InvariantCulture);
                return;
            }
            int[] parts = [.. after.Split(' ').Select(Hexadecimal)];
            Parts[Hexadecimal(before)] = parts;
            if (entry[at] == '=')
                Pairs[(parts[0], parts[1])] = Hexadecimal(before);
        }

        private static int Hexadecimal(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
