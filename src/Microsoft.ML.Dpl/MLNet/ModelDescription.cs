using System.Text.Json;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The readable part of a saved model (dpl.json).</summary>
/// <param name="Backbone">The CLIP it was trained on.</param>
/// <param name="Template">A class's text, with {} for its name.</param>
/// <param name="TextLengths">Context length per text layer.</param>
/// <param name="ImageLengths">Context length per image layer.</param>
/// <param name="ValidationAccuracy">Of the values kept, 0 to 1; null without validation rows.</param>
/// <param name="Search">The alphas' history; null where the lengths were given.</param>
internal sealed record ModelDescription(
    BackboneReference Backbone, string Template, IReadOnlyList<int> TextLengths, IReadOnlyList<int> ImageLengths, double? ValidationAccuracy, SearchResult? Search)
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="InvalidDataException">The text is not what <see cref="ToJson"/> writes.</exception>
    public static ModelDescription FromJson(string json)
    {
        ModelDescription? description;
        try
        {
            description = JsonSerializer.Deserialize<ModelDescription>(json, Json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{ModelZip.DescriptionEntry} of the model zip cannot be read: {e.Message}", e);
        }
        if (description is not { Backbone: { Name: not null, Sha256: not null }, TextLengths: not null, ImageLengths: not null, Template: not null })
            throw new InvalidDataException($"{ModelZip.DescriptionEntry} of the model zip lacks the backbone, the template or the lengths. Save the model again.");
        if (description.Search is { } search && (search.Candidates is null || search.Epochs is not { Count: > 0 } || search.Epochs.Any(e => e?.Alphas is not { Image: not null, Text: not null })))
            throw new InvalidDataException($"{ModelZip.DescriptionEntry} of the model zip holds an incomplete search. Save the model again.");
        return description;
    }
}

/// <summary>How a saved model names its CLIP.</summary>
/// <param name="Name">For people.</param>
/// <param name="Sha256">Of the weights.</param>
/// <param name="Location">Where it lay; a hint.</param>
internal sealed record BackboneReference(string Name, string Sha256, string? Location);
