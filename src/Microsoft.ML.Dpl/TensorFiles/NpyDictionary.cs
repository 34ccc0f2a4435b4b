using System.Globalization;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The Python dictionary in the header of a .npy file, read by a grammar of just what NumPy writes there.</summary>
/// <param name="Description">The elements' type, such as <c>&lt;f4</c>.</param>
/// <param name="IsFortran">Whether the first index runs fastest.</param>
/// <param name="Shape">Empty for a single number.</param>
internal sealed record NpyDictionary(string Description, bool IsFortran, IReadOnlyList<long> Shape)
{
    private const string DescriptionKey = "descr",
        OrderKey = "fortran_order",
        ShapeKey = "shape";

    /// <param name="text">The whole header.</param>
    /// <param name="maximumDimensions">Of the shape.</param>
    /// <param name="location">The file, for messages.</param>
    /// <exception cref="InvalidDataException">It is not of the form <c>{'descr': '&lt;f4', 'fortran_order': False, 'shape': (2, 3),
    /// }</c>.</exception>
    public static NpyDictionary Parse(string text, int maximumDimensions, string location)
    {
        var scanner = new Scanner(text, maximumDimensions, location);
        string? description = null;
        bool? isFortran = null;
        List<long>? shape = null;
        scanner.Require('{');
        while (!scanner.Accept('}'))
        {
            string key = scanner.String();
            scanner.Require(':');
            bool again = key switch
            {
                DescriptionKey => description is not null,
                OrderKey => isFortran is not null,
                ShapeKey => shape is not null,
                _ => false,
            };
            if (again)
                throw scanner.Fault($"'{key}' occurs twice");
            if (key == DescriptionKey)
                description = scanner.String();
            else if (key == OrderKey)
                isFortran = scanner.Boolean();
            else if (key == ShapeKey)
                shape = scanner.Numbers();
            else
                throw scanner.Fault($"'{key}' is no known key");
            if (scanner.Accept(','))
                continue;
            scanner.Require('}');
            break;
        }
        scanner.RequireEnd();
        if (description is null || isFortran is null || shape is null)
            throw scanner.Fault($"{DescriptionKey}, {OrderKey} or {ShapeKey} is missing");
        return new NpyDictionary(description, isFortran.Value, shape);
    }

    private ref struct Scanner(string text, int maximumDimensions, string location)
    {
        private int _at;

        /// <summary>Takes a character if it comes next, blanks passed over.</summary>
        public bool Accept(char expected)
        {
            SkipBlanks();
            if (_at == text.Length || text[_at] != expected)
                return false;
            _at++;
            return true;
        }

        public void Require(char expected)
        {
            if (!Accept(expected))
                throw Fault($"'{expected}' is expected at character {_at}");
        }

        public void RequireEnd()
        {
            SkipBlanks();
            if (_at != text.Length)
                throw Fault($"something follows the dictionary at character {_at}");
        }

        public string String()
        {
            char quote =
                Accept('\'') ? '\''
                : Accept('"') ? '"'
                : throw Fault($"a text in quotes is expected at character {_at}; structured arrays cannot be read");
            int end = text.IndexOf(quote, _at);
            if (end < 0)
                throw Fault($"the text at character {_at} does not end");
            string found = text[_at..end];
            if (found.Contains('\\', StringComparison.Ordinal))
                throw Fault($"the text at character {_at} holds an escape");
            _at = end + 1;
            return found;
        }

        public bool Boolean()
        {
            SkipBlanks();
            foreach (bool value in new[] { true, false })
            {
                string word = value ? "True" : "False";
                if (string.CompareOrdinal(text, _at, word, 0, word.Length) != 0)
                    continue;
                _at += word.Length;
                return value;
            }
            throw Fault($"True or False is expected at character {_at}");
        }

        /// <summary>A tuple of whole numbers from 0 on: <c>()</c>, <c>(3,)</c>, <c>(3, 4)</c>.</summary>
        public List<long> Numbers()
        {
            Require('(');
            var numbers = new List<long>();
            while (!Accept(')'))
            {
                SkipBlanks();
                int end = _at;
                while (end < text.Length && char.IsAsciiDigit(text[end]))
                    end++;
                if (!long.TryParse(text.AsSpan(_at, end - _at), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
                    throw Fault($"a size is expected at character {_at}");
                if (numbers.Count == maximumDimensions)
                    throw Fault($"the shape has more than {maximumDimensions} sizes");
                numbers.Add(number);
                _at = end;
                if (Accept(','))
                    continue;
                // (3) is a number in Python, not a tuple.
                if (numbers.Count == 1)
                    throw Fault($"a comma is expected at character {_at}");
                Require(')');
                break;
            }
            return numbers;
        }

        public readonly InvalidDataException Fault(string what) => new($"{location}: the .npy header cannot be read: {what}.");

        private void SkipBlanks()
        {
            while (_at < text.Length && text[_at] is ' ' or '\n')
                _at++;
        }
    }
}
