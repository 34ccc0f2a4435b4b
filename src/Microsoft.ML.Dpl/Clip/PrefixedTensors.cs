using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The tensors of a CLIP that was saved inside something else, such as a training wrapper (<c>module.</c>) or a larger model
/// (<c>clip.</c>), under their names without the prefix. Other tensors of the file are left out.</summary>
internal sealed class PrefixedTensors : ITensorSource
{
    /// <summary>Every CLIP has one of these tensors, whatever its layout.</summary>
    private static readonly string[] Marks = ["visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight"];

    private static readonly HashSet<string> Wrappers =
    [
        "module",
        "_orig_mod",
        "clip",
        "clip_model",
        "model",
        "state_dict",
        "model_state_dict",
    ];

    private readonly ITensorSource _source;
    private readonly string _prefix;

    private PrefixedTensors(ITensorSource source, string prefix)
    {
        (_source, _prefix) = (source, prefix);
        Entries = source
            .Entries.Values.Where(entry => entry.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(entry => entry with { Name = entry.Name[prefix.Length..] })
            .ToDictionary(entry => entry.Name, StringComparer.Ordinal);
    }

    public string Location => _source.Location;

    public IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    public IReadOnlyDictionary<string, string> Metadata => _source.Metadata;

    /// <summary>The tensors without a known wrapper prefix; the source itself if the names have no prefix or an unknown one.</summary>
    /// <param name="source">The checkpoint; disposed with the result.</param>
    public static ITensorSource Stripped(ITensorSource source) =>
        Marks.Any(source.Entries.ContainsKey) || PrefixOf(source) is not { } prefix ? source : new PrefixedTensors(source, prefix);

    /// <inheritdoc/>
    public Tensor Read(string name) => _source.Read(_prefix + name);

    public void Dispose() => _source.Dispose();

    private static string? PrefixOf(ITensorSource source)
    {
        string[] prefixes =
        [
            .. Marks.SelectMany(mark =>
                source.Entries.Keys.Where(name => name.EndsWith("." + mark, StringComparison.Ordinal)).Select(name => name[..^mark.Length])
            ),
        ];
        // Two CLIPs in one file, such as a student and its teacher, cannot be told apart.
        return prefixes is [var only] && only[..^1].Split('.').All(Wrappers.Contains) ? only : null;
    }
}
