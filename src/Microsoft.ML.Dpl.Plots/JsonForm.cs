using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>The JSON options with which plots are passed across the load context's boundary.</summary>
internal static class JsonForm
{
    public static readonly JsonSerializerOptions Options = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };
}
