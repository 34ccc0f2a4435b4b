using System.IO.Compression;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>What a model zip says of itself, read without its CLIP and without libtorch.</summary>
/// <param name="ClassNames">The classes in the order of the scores; null in zips of earlier versions, whose classes are known once the
/// model is loaded.</param>
/// <param name="Configuration">Context lengths per layer; of a mixture, that of the largest weight in each.</param>
/// <param name="Template">The text of a class; <c>{}</c> stands for its name.</param>
/// <param name="Search">How the search came to the configuration; null where it was given.</param>
/// <param name="ValidationAccuracy">0 to 1; null without validation rows.</param>
/// <param name="WasCancelled">Whether the fit was cut short.</param>
/// <param name="Contents">What of CLIP the zip holds.</param>
/// <param name="BackboneName">The CLIP's name where the model was trained.</param>
/// <param name="BackboneSha256">SHA-256 of its weights, 64 hexadecimal digits.</param>
/// <param name="BackboneLocation">Where it lay then; null where the zip does not say.</param>
/// <param name="ImageFolder">Where relative paths of images start; null: the current folder.</param>
/// <param name="MLNetVersion">The version of ML.NET that wrote the zip; null where it does not say.</param>
/// <param name="Entries">The zip's entries of this model, without the folder they lie in.</param>
public sealed record DplModelInfo(
    IReadOnlyList<string>? ClassNames,
    PromptConfiguration Configuration,
    string Template,
    DplSearchReport? Search,
    double? ValidationAccuracy,
    bool WasCancelled,
    DplModelContents Contents,
    string BackboneName,
    string BackboneSha256,
    string? BackboneLocation,
    string? ImageFolder,
    string? MLNetVersion,
    IReadOnlyList<DplModelEntry> Entries
)
{
    private const string VersionEntry = "Version.txt";
    private const long LongestVersion = 1024;

    /// <summary>Whether the fit's numbers went wrong and this is the best it had before.</summary>
    public bool HasDiverged { get; init; }

    /// <summary>Whether images are turned and mirrored as their files ask; see
    /// <see cref="DplTrainer.Options.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>The most pixels an image file may have; see <see cref="DplTrainer.Options.MaxImagePixels"/>.</summary>
    public long MaxImagePixels { get; init; } = ImageDecoder.DefaultMaximumPixels;

    /// <summary>Prompt rows of each candidate of a mixture, increasing from 0, whose weights the model has once it is loaded; null where
    /// the lengths are fixed.</summary>
    public IReadOnlyList<int>? MixtureCandidateLengths { get; init; }

    /// <summary>Reads the description of the first model of this library in a zip.</summary>
    /// <param name="zipPath">A model that ML.NET saved, alone or as part of a pipeline.</param>
    /// <exception cref="IOException">The file is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is no zip, holds no model of this library, or the description is damaged.</exception>
    public static DplModelInfo Read(string zipPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(zipPath);
        string shown = ShownText.Escape(zipPath);
        using FileStream file = File.OpenRead(zipPath);
        try
        {
            using var zip = new ZipArchive(file, ZipArchiveMode.Read);
            return Read(zip, shown);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException && !e.Message.Contains(shown, StringComparison.Ordinal))
        {
            // Neither what the zip reader says nor what dpl.json's says names the file.
            throw new InvalidDataException(
                $"'{shown}' is no zip of a model that ML.NET saved, or it is cut short or damaged: {e.Message}",
                e
            );
        }
    }

    private static DplModelInfo Read(ZipArchive zip, string shown)
    {
        ZipArchiveEntry description = zip.Entries.Where(entry => entry.Name == ModelZip.DescriptionEntry)
            .MinBy(entry => entry.FullName, StringComparer.Ordinal)
            ?? throw new InvalidDataException(
                $"'{shown}' has no entry {ModelZip.DescriptionEntry}, so it holds no model of Differentiable Prompt Learning."
            );
        if (description.Length > ModelZip.LargestSizeOf(ModelZip.DescriptionEntry))
            throw new InvalidDataException(
                $"The entry {ModelZip.DescriptionEntry} of '{shown}' is {description.Length} bytes long, which no model's is. Copy or "
                    + "save the model again."
            );
        string folder = description.FullName[..^description.Name.Length];
        return Of(
            ModelDescription.FromJson(Text(description)),
            zip.Entries.FirstOrDefault(entry => entry.Name == VersionEntry) is { Length: < LongestVersion } version
                ? ShownText.Escape(Text(version).Trim())
                : null,
            [
                .. zip
                    .Entries.Where(entry => entry.FullName.StartsWith(folder, StringComparison.Ordinal))
                    .Select(entry => new DplModelEntry(entry.FullName[folder.Length..], entry.Length, entry.CompressedLength)),
            ]
        );
    }

    private static DplModelInfo Of(ModelDescription model, string? version, IReadOnlyList<DplModelEntry> entries) =>
        new(
            model.ClassNames,
            new PromptConfiguration(model.TextLengths, model.ImageLengths),
            model.Template,
            model.Search,
            model.ValidationAccuracy,
            model.WasCancelled,
            model.Contents,
            model.Backbone.Name,
            model.Backbone.Sha256,
            model.Backbone.Location,
            model.ImageFolder,
            version,
            entries
        )
        {
            HasDiverged = model.HasDiverged,
            ApplyExifOrientation = model.ApplyExifOrientation,
            MaxImagePixels = model.Reading.MaximumPixels,
            MixtureCandidateLengths = model.Mixture?.CandidateLengths,
        };

    private static string Text(ZipArchiveEntry entry)
    {
        using var reader = new StreamReader(entry.Open());
        return reader.ReadToEnd();
    }
}

/// <summary>An entry of a model zip.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="CompressedBytes">Its size in the zip.</param>
public sealed record DplModelEntry(string Name, long Bytes, long CompressedBytes);
