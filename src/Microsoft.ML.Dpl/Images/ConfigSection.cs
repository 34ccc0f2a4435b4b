using System.Text.Json;

namespace Microsoft.ML.Dpl.Images;

/// <summary>One object of a JSON configuration: reads fields with defaults and names the field in every exception.</summary>
/// <param name="element">The object; <c>null</c> if every field has its default.</param>
/// <param name="path">The prefix of a field's name in messages, such as <c>text_config.</c></param>
/// <param name="location">The file, for error messages.</param>
internal sealed class ConfigSection(JsonElement? element, string path, string location)
{
    private const int Longest = 40;

    /// <summary>Reads the object in a JSON file.</summary>
    /// <param name="json">The text of the file in UTF-8.</param>
    /// <param name="location">The file, for error messages.</param>
    /// <param name="read">Reads the object's fields.</param>
    /// <exception cref="InvalidDataException">The text is not JSON in UTF-8 or not an object, or the reader rejects a field.</exception>
    public static T Read<T>(ReadOnlyMemory<byte> json, string location, Func<ConfigSection, T> read)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidDataException($"{location}: the configuration is not a JSON object.");
            return read(new ConfigSection(document.RootElement, "", location));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // JsonException means invalid JSON, and InvalidOperationException invalid UTF-8.
            throw new InvalidDataException($"{location}: the configuration is not JSON in UTF-8. {e.Message}", e);
        }
    }

    /// <summary>A nested object; a missing or <c>null</c> field is read as an object without fields.</summary>
    public ConfigSection Section(string field)
    {
        JsonElement? value = Find(field);
        if (value is null or { ValueKind: JsonValueKind.Null })
            return new ConfigSection(null, $"{path}{field}.", location);
        if (value.Value.ValueKind != JsonValueKind.Object)
            throw Fault(field, "is not an object");
        return new ConfigSection(value, $"{path}{field}.", location);
    }

    public bool Has(string field) => Find(field) is { ValueKind: not JsonValueKind.Null };

    public int Integer(string field, int fallback, int minimum, int maximum)
    {
        if (Find(field) is not JsonElement value)
            return fallback;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int number) || number < minimum || number > maximum)
            throw Fault(field, $"is {Shown(value)}, not a whole number from {minimum} to {maximum}");
        return number;
    }

    public double Fraction(string field, double fallback)
    {
        if (Find(field) is not JsonElement value)
            return fallback;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number > 0 && number < 1))
            throw Fault(field, $"is {Shown(value)}, not a number between 0 and 1");
        return number;
    }

    public string? Text(string field, string? fallback)
    {
        if (Find(field) is not JsonElement value)
            return fallback;
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Fault(field, $"is {Shown(value)}, not a text");
    }

    /// <summary>A Boolean; a missing or <c>null</c> field is false.</summary>
    public bool Flag(string field) =>
        Find(field) switch
        {
            null or { ValueKind: JsonValueKind.False or JsonValueKind.Null } => false,
            { ValueKind: JsonValueKind.True } => true,
            { } other => throw Fault(field, $"is {Shown(other)}, not true or false"),
        };

    /// <summary>A number greater than 0 and at most <paramref name="maximum"/>.</summary>
    public double Factor(string field, double fallback, double maximum)
    {
        if (Find(field) is not JsonElement value)
            return fallback;
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number > 0 && number <= maximum))
            throw Fault(field, $"is {Shown(value)}, not a number above 0 and at most {maximum}");
        return number;
    }

    /// <summary>An array of as many numbers as the fallback has.</summary>
    public float[] Numbers(string field, float[] fallback)
    {
        if (Find(field) is not JsonElement value || value.ValueKind == JsonValueKind.Null)
            return fallback;
        if (
            value.ValueKind == JsonValueKind.Array
            && value.GetArrayLength() == fallback.Length
            && value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.Number)
        )
            return [.. value.EnumerateArray().Select(v => v.GetSingle())];
        throw Fault(field, $"is {Shown(value)}, not {fallback.Length} numbers");
    }

    public bool IsList(string field) => Find(field) is { ValueKind: JsonValueKind.Array };

    /// <summary>Rejects all other fields, except those that are false or <c>null</c> and so enable nothing.</summary>
    public void RefuseOthers(params string[] known)
    {
        if (element is not JsonElement all)
            return;
        foreach (JsonProperty property in all.EnumerateObject())
        {
            if (known.Contains(property.Name) || property.Value.ValueKind is JsonValueKind.Null or JsonValueKind.False)
                continue;
            throw Fault(property.Name, $"is {Shown(property.Value)}, which describes another network than CLIP's; that is not supported");
        }
    }

    /// <summary>The exception for an invalid field.</summary>
    public InvalidDataException Fault(string field, string what) => new($"{location}: {path}{field} {what}.");

    private JsonElement? Find(string field) =>
        element is JsonElement all && all.TryGetProperty(field, out JsonElement value) ? value : null;

    private static string Shown(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= Longest ? text : $"{text[..Longest]}…";
    }
}
