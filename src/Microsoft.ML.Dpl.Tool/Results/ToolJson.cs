using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>How the command writes JSON.</summary>
internal static class ToolJson
{
    /// <summary>For files and for people.</summary>
    public static JsonSerializerOptions Indented { get; } =
        new(JsonSerializerDefaults.Web)
        {
            WriteIndented = true,
            // Class names stay legible; nothing of this goes into a page unescaped.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            // A log-loss can be infinite.
            NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.AllowNamedFloatingPointLiterals,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        };

    /// <summary>One object a line, whose members are always all there.</summary>
    public static JsonSerializerOptions Progress { get; } = new(Indented) { WriteIndented = false };

    /// <summary>One object a line, without what there is not.</summary>
    public static JsonSerializerOptions Line { get; } =
        new(Indented) { WriteIndented = false, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };
}
