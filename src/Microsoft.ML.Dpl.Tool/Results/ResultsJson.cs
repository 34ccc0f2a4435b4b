using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Reads and writes results as indented camelCase JSON; unknown members are ignored.</summary>
internal static class ResultsJson
{
    private static readonly JsonSerializerOptions Form = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        // A diverged fit has losses that are NaN or infinite.
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        // The report escapes for HTML itself; the file should stay readable.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Serializes results.</summary>
    public static string Write(FitResults results) => JsonSerializer.Serialize(results, Form);

    /// <summary>Deserializes results.</summary>
    /// <param name="json">Text written by <see cref="Write"/>.</param>
    /// <exception cref="FormatException">The text is not a results file, lacks a member, or was written by a later version; the message
    /// says which.</exception>
    public static FitResults Read(string json)
    {
        try
        {
            using (JsonDocument document = JsonDocument.Parse(json))
            {
                if (
                    document.RootElement.ValueKind != JsonValueKind.Object
                    || !document.RootElement.TryGetProperty("schemaVersion", out JsonElement version)
                    || !version.TryGetInt32(out int written)
                )
                    throw new FormatException("This is not a results file of dpl: it has no schemaVersion.");
                if (written is < 1 or > FitResults.CurrentSchemaVersion)
                    throw new FormatException(
                        $"The results have schema version {written}; this dpl reads versions 1 to {FitResults.CurrentSchemaVersion}. Use "
                            + "the dpl that wrote them, or a later one."
                    );
            }
            return JsonSerializer.Deserialize<FitResults>(json, Form) ?? throw new FormatException("The results file is empty.");
        }
        catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException)
        {
            throw new FormatException($"The results cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a results file.</summary>
    /// <exception cref="FormatException">The file is not a results file, lacks a member, or was written by a later version; the message
    /// names the file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static FitResults ReadFile(string path)
    {
        try
        {
            return Read(File.ReadAllText(path));
        }
        catch (FormatException e)
        {
            throw new FormatException($"'{path}': {e.Message}", e);
        }
    }
}
