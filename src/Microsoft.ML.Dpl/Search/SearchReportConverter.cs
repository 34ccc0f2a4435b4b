using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl.Search;

/// <summary>The JSON format of a search in dpl.json, independent of the names of the report's members.</summary>
/// <remarks>
/// <c>{"candidates": […], "epochs": [{"learningRate", "trainLoss", "validationLoss", "alphas": {"image": [[…]], "text": [[…]]}}]}</c>.
/// Missing members are null in the report that is read; the caller must check that it is complete.
/// </remarks>
internal sealed class SearchReportConverter : JsonConverter<SearchReport>
{
    public override SearchReport? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (JsonSerializer.Deserialize<StoredSearch>(ref reader, options) is not { } search)
            return null;
        return new SearchReport(
            search.Candidates!,
            search.Epochs is null
                ? null!
                :
                [
                    .. search.Epochs.Select(epoch =>
                        epoch is null
                            ? null!
                            : new SearchEpoch(
                                epoch.LearningRate,
                                epoch.TrainLoss,
                                epoch.ValidationLoss,
                                epoch.Alphas?.Text!,
                                epoch.Alphas?.Image!
                            )
                    ),
                ]
        );
    }

    public override void Write(Utf8JsonWriter writer, SearchReport value, JsonSerializerOptions options) =>
        JsonSerializer.Serialize(
            writer,
            new StoredSearch(
                value.CandidateLengths,
                [
                    .. value.Epochs.Select(epoch => new StoredEpoch(
                        epoch.LearningRate,
                        epoch.TrainLoss,
                        epoch.ValidationLoss,
                        new StoredAlphas(Text: epoch.TextAlphas, Image: epoch.ImageAlphas)
                    )),
                ]
            ),
            options
        );

    private sealed record StoredSearch(
        [property: JsonPropertyName("candidates")] IReadOnlyList<int>? Candidates,
        [property: JsonPropertyName("epochs")] IReadOnlyList<StoredEpoch?>? Epochs
    );

    private sealed record StoredEpoch(
        [property: JsonPropertyName("learningRate")] double LearningRate,
        [property: JsonPropertyName("trainLoss")] double TrainLoss,
        [property: JsonPropertyName("validationLoss")] double ValidationLoss,
        [property: JsonPropertyName("alphas")] StoredAlphas? Alphas
    );

    private sealed record StoredAlphas(
        [property: JsonPropertyName("text"), JsonPropertyOrder(1)] IReadOnlyList<IReadOnlyList<float>>? Text,
        [property: JsonPropertyName("image"), JsonPropertyOrder(0)] IReadOnlyList<IReadOnlyList<float>>? Image
    );
}
