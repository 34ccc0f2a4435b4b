using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Everything besides the images that determines the bytes of the parts.</summary>
/// <param name="Model">SHA-256 of the model's file.</param>
/// <param name="Format">csv or jsonl.</param>
/// <param name="Top">Number of most probable classes written for each image.</param>
/// <param name="KeepFormulas">Whether CSV fields that a spreadsheet would read as formulas are left unescaped.</param>
/// <param name="BatchSize">Number of images that are classified together.</param>
/// <param name="PartSize">Number of images in a part.</param>
/// <param name="Images">Number of images in all shards together; null with a single shard, which need not know it.</param>
/// <param name="Engine">The engine that computed the scores; a journal without it is from a version that had only libtorch.</param>
/// <param name="Precision">Precision of the weights; null: as stored in the zip.</param>
internal sealed record PartSettings(
    string Model,
    PredictionFormat Format,
    int Top,
    bool KeepFormulas,
    int BatchSize,
    int PartSize,
    int? Images,
    ScoringEngine Engine = ScoringEngine.LibTorch,
    OnnxPrecision? Precision = null
)
{
    /// <summary>Describes the first difference from other settings, for a message; null if there is none.</summary>
    public string? Difference(PartSettings made) =>
        made.Model != Model ? "another model"
        : made.Format != Format ? $"another --format: '{made.Format.ToString().ToLowerInvariant()}'"
        : made.Top != Top ? $"another --top: {made.Top}"
        : made.KeepFormulas != KeepFormulas ? $"--keep-formulas {(made.KeepFormulas ? "given" : "not given")}"
        : made.BatchSize != BatchSize ? $"another --batch-size: {made.BatchSize}"
        : made.Engine != Engine ? $"another --engine: '{made.Engine.ToString().ToLowerInvariant()}'"
        : made.Precision != Precision
            ? made.Precision is { } precision ? $"another --precision: '{precision.ToString().ToLowerInvariant()}'"
                : "no --precision"
        : made.PartSize != PartSize ? $"another --part-size: {made.PartSize}"
        : made.Images is int before && Images is int now && before != now ? $"a different number of images: {before} instead of {now}"
        : null;
}

/// <summary>A part whose file is complete.</summary>
/// <param name="Part">Zero-based index among the parts of all shards.</param>
/// <param name="Images">Number of images in the part.</param>
/// <param name="Unreadable">How many of these images could not be read.</param>
/// <param name="Bytes">Length of the part's file in bytes.</param>
/// <param name="Paths">SHA-256 of the images' paths, which reveals a changed list.</param>
internal sealed record DonePart(int Part, int Images, int Unreadable, long Bytes, string Paths);

/// <summary>The journal that a shard keeps next to its parts.</summary>
/// <param name="Form">Version of the journal's format.</param>
/// <param name="Settings">The settings the parts were made with.</param>
/// <param name="Parts">The complete parts, in order.</param>
/// <param name="IsComplete">Whether these are all parts of the shard.</param>
internal sealed record PartsJournal(int Form, PartSettings Settings, IReadOnlyList<DonePart> Parts, bool IsComplete)
{
    public const int CurrentForm = 1;

    /// <returns>The journal, or null if the file is not a valid one.</returns>
    public static PartsJournal? TryRead(string file)
    {
        try
        {
            return
                JsonSerializer.Deserialize<PartsJournal>(File.ReadAllBytes(file), ToolJson.Indented)
                    is { Form: CurrentForm, Settings: not null, Parts: not null } journal
                ? journal
                : null;
        }
        catch (JsonException)
        {
            // The caller reports it.
            return null;
        }
    }

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, ToolJson.Indented);
}
