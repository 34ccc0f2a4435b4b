using System.IO.Compression;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>The description of a model zip, read without its CLIP and without libtorch.</summary>
public sealed class ModelInfo
{
    private const string VersionEntry = "Version.txt";
    private const long LongestVersion = 1024;

    private ModelInfo() { }

    /// <summary>The classes in the order of the scores; null for zips of earlier versions, whose classes are known only after loading the
    /// model.</summary>
    public required IReadOnlyList<string>? ClassNames { get; init; }

    /// <summary>Prompt lengths per layer.</summary>
    public required PromptConfiguration Configuration { get; init; }

    /// <summary>The text of a class; <c>{}</c> stands for its name.</summary>
    public required string Template { get; init; }

    /// <summary>Report of the search that found the configuration; null if the configuration was given.</summary>
    public required SearchReport? Search { get; init; }

    /// <summary>Accuracy on the validation rows, 0 to 1; null without validation rows.</summary>
    public required double? ValidationAccuracy { get; init; }

    /// <summary>Whether the fit was cancelled before it finished.</summary>
    public required bool WasCancelled { get; init; }

    /// <summary>Which parts of CLIP the zip contains.</summary>
    public required ModelContents Contents { get; init; }

    /// <summary>The name of the CLIP that the model was trained with.</summary>
    public required string BackboneName { get; init; }

    /// <summary>SHA-256 of that CLIP's weights, 64 hexadecimal digits.</summary>
    public required string BackboneSha256 { get; init; }

    /// <summary>Where that CLIP was stored at training; null if the zip does not say.</summary>
    public required string? BackboneLocation { get; init; }

    /// <summary>The folder that relative image paths are resolved against; null for the current folder.</summary>
    public required string? ImageFolder { get; init; }

    /// <summary>The version of ML.NET that wrote the zip; null if the zip does not say.</summary>
    public required string? MLNetVersion { get; init; }

    /// <summary>The zip's entries that belong to this model, named relative to the model's folder.</summary>
    public required IReadOnlyList<ModelEntry> Entries { get; init; }

    /// <summary>Whether the fit diverged, in which case the model is the best one from before that.</summary>
    public required bool HasDiverged { get; init; }

    /// <summary>Whether images are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public required bool ApplyExifOrientation { get; init; }

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.ImageOptions.MaxPixels"/>.</summary>
    public required long MaxImagePixels { get; init; }

    /// <summary>Prompt rows of each candidate of a mixture, increasing from 0; null if the lengths are fixed. The weights are available
    /// only after loading the model.</summary>
    public IReadOnlyList<int>? MixtureCandidateLengths { get; init; }

    /// <summary>The learned context in the texts of the classes; null without one.</summary>
    public PromptContext? Context { get; init; }

    /// <summary>The templates over which the class features are averaged; null if only <see cref="Template"/> is used.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>The minimum probability for a class to be predicted; null for no minimum. See
    /// <see cref="DplTransformer.Threshold"/>.</summary>
    public double? Threshold { get; init; }

    /// <summary>How the prompts were built and trained; null for the plain method, or if the zip does not say.</summary>
    public PromptDesign? Design { get; init; }

    /// <summary>Reads the description of the first model of this library in a zip.</summary>
    /// <param name="zipPath">A model that ML.NET saved, alone or as part of a pipeline.</param>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is not a zip, contains no model of this library, or its description is
    /// damaged.</exception>
    public static ModelInfo Read(string zipPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(zipPath);
        string shown = ShownText.Escape(zipPath);
        GitLfsPointer.Refuse(zipPath);
        using FileStream file = File.OpenRead(zipPath);
        try
        {
            using var zip = new ZipArchive(file, ZipArchiveMode.Read);
            return Read(zip, shown);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException && !e.Message.Contains(shown, StringComparison.Ordinal))
        {
            // The messages of the zip reader and of the dpl.json parser do not name the file.
            throw new InvalidDataException(
                $"'{shown}' is not a zip of a model that ML.NET saved, or it is cut short or damaged: {e.Message}",
                e
            );
        }
    }

    private static ModelInfo Read(ZipArchive zip, string shown)
    {
        ZipArchiveEntry description = zip.Entries.Where(entry => entry.Name == ModelZipFormat.DescriptionEntry)
            .MinBy(entry => entry.FullName, StringComparer.Ordinal)
            ?? throw new InvalidDataException(
                $"'{shown}' has no entry {ModelZipFormat.DescriptionEntry}, so it holds no model of Differentiable Prompt Learning."
            );
        if (description.Length > ModelZipFormat.LargestSizeOf(ModelZipFormat.DescriptionEntry))
            throw new InvalidDataException(
                $"The entry {ModelZipFormat.DescriptionEntry} of '{shown}' is {description.Length} bytes long, more than a model's can be. "
                    + "Copy or save the model again."
            );
        string folder = description.FullName[..^description.Name.Length];
        return From(
            StoredDescription.FromJson(Text(description)),
            zip.Entries.FirstOrDefault(entry => entry.Name == VersionEntry) is { Length: < LongestVersion } version
                ? ShownText.Escape(Text(version).Trim())
                : null,
            [
                .. zip
                    .Entries.Where(entry => entry.FullName.StartsWith(folder, StringComparison.Ordinal))
                    .Select(entry => new ModelEntry(entry.FullName[folder.Length..], entry.Length, entry.CompressedLength)),
            ]
        );
    }

    private static ModelInfo From(StoredDescription model, string? version, IReadOnlyList<ModelEntry> entries) =>
        new()
        {
            ClassNames = model.ClassNames,
            Configuration = model.Configuration,
            Template = model.Template,
            Search = model.Search,
            ValidationAccuracy = model.ValidationAccuracy,
            WasCancelled = model.WasCancelled,
            Contents = model.Contents,
            BackboneName = model.Backbone.Name,
            BackboneSha256 = model.Backbone.Sha256,
            BackboneLocation = model.Backbone.Location,
            ImageFolder = model.ImageFolder,
            MLNetVersion = version,
            Entries = entries,
            HasDiverged = model.HasDiverged,
            ApplyExifOrientation = model.ApplyExifOrientation,
            MaxImagePixels = model.Reading.MaximumPixels,
            MixtureCandidateLengths = model.Mixture?.CandidateLengths,
            Context = model.Context,
            Templates = model.Templates,
            Design = model.Design,
            Threshold = model.Threshold,
        };

    private static string Text(ZipArchiveEntry entry)
    {
        using var reader = new StreamReader(entry.Open());
        return reader.ReadToEnd();
    }
}

/// <summary>An entry of a model zip.</summary>
public sealed record ModelEntry
{
    internal ModelEntry(string name, long bytes, long compressedBytes) => (Name, Bytes, CompressedBytes) = (name, bytes, compressedBytes);

    /// <summary>The entry's name.</summary>
    public string Name { get; }

    /// <summary>The uncompressed size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>The compressed size in bytes.</summary>
    public long CompressedBytes { get; }
}
