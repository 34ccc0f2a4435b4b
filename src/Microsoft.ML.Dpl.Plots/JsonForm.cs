using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>How a plot crosses the load context's border.</summary>
internal static class JsonForm
{
    public static readonly JsonSerializerOptions Options = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };
}
