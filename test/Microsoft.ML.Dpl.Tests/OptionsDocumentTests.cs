using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>docs/options.md lists every option of the trainer with its default.</summary>
public partial class OptionsDocumentTests
{
    [Fact]
    public void Every_option_has_one_row_and_every_row_is_an_option() =>
        Assert.Equal(
            Options().Select(option => option.Name).Order(StringComparer.Ordinal),
            Rows().Select(row => row.Name).Order(StringComparer.Ordinal)
        );

    [Fact]
    public void The_defaults_are_those_of_the_code()
    {
        Dictionary<string, string> written = Rows().ToDictionary(row => row.Name, row => row.Default);
        Assert.Equal(
            Options().Select(option => $"{option.Name}: {Shown(option.Default)}"),
            Options().Select(option => $"{option.Name}: {Plain(written[option.Name])}")
        );
    }

    /// <summary>The options and their defaults; an option of a group is named "Group.Option".</summary>
    private static IEnumerable<(string Name, object? Default)> Options()
    {
        var options = new DplTrainer.Options();
        foreach (PropertyInfo property in Properties(options))
        {
            object? value = property.GetValue(options);
            if (property.CanWrite)
                yield return (property.Name, value);
            else
                foreach (PropertyInfo inner in Properties(value!))
                    yield return ($"{property.Name}.{inner.Name}", inner.GetValue(value));
        }
    }

    private static PropertyInfo[] Properties(object owner) => owner.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance);

    private static (string Name, string Default)[] Rows() =>
        [
            .. Row()
                .Matches(File.ReadAllText(Path.Combine(SharedData.RepositoryRoot, "docs", "options.md")))
                .Select(match => (match.Groups[1].Value, match.Groups[2].Value.Trim())),
        ];

    /// <summary>Maps the document's words for an absent default to "null".</summary>
    private static string Plain(string written) => written is "required" or "none" ? "null" : written.Trim('`');

    private static string Shown(object? value) =>
        value switch
        {
            null => "null",
            CancellationToken { CanBeCanceled: false } => "null",
            bool truth => truth ? "true" : "false",
            string text => text,
            IEnumerable numbers => string.Join(' ', numbers.Cast<object>()),
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };

    [GeneratedRegex(@"^\| `([\w.]+)` \| ([^|]+) \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
