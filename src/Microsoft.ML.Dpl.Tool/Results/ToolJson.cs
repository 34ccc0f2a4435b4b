using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>The JSON settings of the command line tool.</summary>
internal static class ToolJson
{
    /// <summary>Indented JSON, for files and readable output.</summary>
    public static JsonSerializerOptions Indented { get; } =
        new(JsonSerializerDefaults.Web)
        {
            WriteIndented = true,
            // Keeps class names readable; safe because none of this JSON is inserted into a page unescaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            // The log loss can be infinite.
            NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.AllowNamedFloatingPointLiterals,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        };

    /// <summary>One object per line, including members that are null.</summary>
    public static JsonSerializerOptions Progress { get; } = new(Indented) { WriteIndented = false };

    /// <summary>One object per line, without members that are null.</summary>
    public static JsonSerializerOptions Line { get; } =
        new(Indented) { WriteIndented = false, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };
}
