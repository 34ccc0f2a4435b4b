using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Search;

namespace Microsoft.ML.Dpl;

/// <summary>
/// The prompt length of every layer of both branches: the result of the search, and the lengths that the training stage uses.
/// </summary>
/// <remarks>As text: <c>text 6 4 0 | image 0 2 6</c>, in order of layers. As JSON: <c>{"text":[6,4,0],"image":[0,2,6]}</c>.</remarks>
public sealed class PromptConfiguration : IEquatable<PromptConfiguration>
{
    /// <summary>The largest number of prompt rows of a layer.</summary>
    public const int MaximumLength = LayerPrompt.MaximumLength;

    /// <param name="text">Prompt rows per text layer, in order of layers, each 0 to <see cref="MaximumLength"/>.</param>
    /// <param name="image">Prompt rows per image layer, in order of layers, each 0 to <see cref="MaximumLength"/>.</param>
    /// <exception cref="ArgumentException">A branch has no layers, or a length is out of range.</exception>
    [JsonConstructor]
    public PromptConfiguration(IReadOnlyList<int> text, IReadOnlyList<int> image)
    {
        Text = Checked(text, nameof(text));
        Image = Checked(image, nameof(image));
    }

    /// <summary>Prompt rows per text layer, in order of layers.</summary>
    [JsonPropertyName("text")]
    public IReadOnlyList<int> Text { get; }

    /// <summary>Prompt rows per image layer, in order of layers.</summary>
    [JsonPropertyName("image")]
    public IReadOnlyList<int> Image { get; }

    /// <summary>Whether no layer has a prompt: plain zero-shot CLIP.</summary>
    [JsonIgnore]
    public bool IsZeroShot => Text.Concat(Image).All(length => length == 0);

    /// <summary>The same length in every layer of both branches; 0 is zero-shot CLIP.</summary>
    /// <param name="backbone">Determines the numbers of layers.</param>
    /// <param name="length">Prompt rows per layer, 0 to <see cref="MaximumLength"/>.</param>
    /// <exception cref="ArgumentException">The length is out of range.</exception>
    public static PromptConfiguration Uniform(ClipBackbone backbone, int length)
    {
        ArgumentNullException.ThrowIfNull(backbone);
        return new PromptConfiguration(
            [.. Enumerable.Repeat(length, backbone.Config.Text.Layers)],
            [.. Enumerable.Repeat(length, backbone.Config.Image.Layers)]
        );
    }

    /// <summary>No prompts: zero-shot CLIP as a classifier.</summary>
    /// <param name="backbone">Determines the numbers of layers.</param>
    public static PromptConfiguration ZeroShot(ClipBackbone backbone) => Uniform(backbone, 0);

    /// <summary>
    /// The configuration chosen by alphas: for each layer the candidate with the largest alpha, the shortest of equal ones (METHOD §2).
    /// </summary>
    /// <param name="candidateLengths">Candidate prompt lengths, increasing from 0.</param>
    /// <param name="alphas">[layer][candidate] of each branch.</param>
    internal static PromptConfiguration FromAlphas(
        IReadOnlyList<int> candidateLengths,
        BranchPair<IReadOnlyList<IReadOnlyList<float>>> alphas
    )
    {
        BranchPair<int[]> lengths = alphas.Select<int[]>(branch =>
            [.. branch.Select(layer => candidateLengths[AlphaWeights.Choice(layer)])]
        );
        return new PromptConfiguration(lengths.Text, lengths.Image);
    }

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <exception cref="FormatException">The text is not a configuration; the message shows the expected form.</exception>
    public static PromptConfiguration Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Dictionary<string, int[]> branches = [];
        foreach (string part in text.Split('|', StringSplitOptions.TrimEntries))
        {
            string[] words = part.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || words[0] is not ("text" or "image") || branches.ContainsKey(words[0]))
                throw Unreadable(text);
            branches[words[0]] =
            [
                .. words
                    .Skip(1)
                    .Select(w =>
                        int.TryParse(w, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n <= MaximumLength
                            ? n
                            : throw Unreadable(text)
                    ),
            ];
        }
        return branches.Count == 2 ? new PromptConfiguration(branches["text"], branches["image"]) : throw Unreadable(text);
    }

    /// <summary>Reads what <see cref="ToJson"/> writes.</summary>
    /// <exception cref="FormatException">The text is not a configuration.</exception>
    public static PromptConfiguration FromJson(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<PromptConfiguration>(json) ?? throw Unreadable(json);
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new FormatException($"'{json}' is not a prompt configuration: {e.Message}", e);
        }
    }

    /// <summary>Returns the JSON form <c>{"text":[…],"image":[…]}</c>.</summary>
    public string ToJson() => JsonSerializer.Serialize(this);

    /// <summary>Returns the text form, such as <c>text 6 4 0 | image 0 2 6</c>.</summary>
    public override string ToString() => $"text {string.Join(' ', Text)} | image {string.Join(' ', Image)}";

    /// <inheritdoc/>
    public bool Equals(PromptConfiguration? other) =>
        other is not null && Text.SequenceEqual(other.Text) && Image.SequenceEqual(other.Image);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as PromptConfiguration);

    /// <inheritdoc/>
    public override int GetHashCode() => string.GetHashCode(ToString(), StringComparison.Ordinal);

    private static int[] Checked(IReadOnlyList<int> lengths, string branch)
    {
        if (lengths is null || lengths.Count == 0)
            throw new ArgumentException($"The {branch} branch of a prompt configuration needs at least one layer.", branch);
        foreach (int length in lengths)
            if (length is < 0 or > MaximumLength)
                throw new ArgumentException($"A prompt length of {length} is outside 0…{MaximumLength}.", branch);
        return [.. lengths];
    }

    private static FormatException Unreadable(string text) =>
        new($"'{text}' is not a prompt configuration. The form is: text 6 4 0 | image 0 2 6, one length (0 to {MaximumLength}) per layer.");
}
