using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Reads the vocabulary of a <c>tokenizer.json</c>, the single file that newer tools write instead of vocab.json and
/// merges.txt.</summary>
internal static class TokenizerJson
{
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no byte-pair vocabulary of a CLIP.</exception>
    public static ClipVocabulary Read(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"Vocabulary file '{path}' does not exist.", path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (
                document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("model", out JsonElement model)
                || model.ValueKind != JsonValueKind.Object
                || !model.TryGetProperty("vocab", out JsonElement ids)
                || !model.TryGetProperty("merges", out JsonElement merges)
                || merges.ValueKind != JsonValueKind.Array
            )
                throw new InvalidDataException(
                    $"Vocabulary '{path}' has no 'model' with 'vocab' and 'merges', so it is no byte-pair tokenizer."
                );
            // CLIP marks where words end; a vocabulary with other marks would cut every text wrongly.
            if (
                !model.TryGetProperty("end_of_word_suffix", out JsonElement suffix)
                || suffix.ValueKind != JsonValueKind.String
                || suffix.GetString() != ClipVocabulary.EndOfWord
            )
                throw new InvalidDataException(
                    $"Vocabulary '{path}' does not mark the end of words with '{ClipVocabulary.EndOfWord}', so it is not a CLIP's."
                );
            using var table = new MemoryStream(Encoding.UTF8.GetBytes(ids.GetRawText()));
            using var pairs = new MemoryStream(
                Encoding.UTF8.GetBytes(string.Join('\n', merges.EnumerateArray().Select((pair, i) => Pair(pair, i, path))))
            );
            return ClipVocabulary.ReadHuggingFace(table, path, pairs, path);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"Vocabulary '{path}' is not JSON in UTF-8. {e.Message}", e);
        }
    }

    /// <summary>A text of two tokens, or in newer files an array of two.</summary>
    private static string Pair(JsonElement pair, int index, string path)
    {
        if (pair.ValueKind == JsonValueKind.String)
            return pair.GetString()!;
        if (
            pair.ValueKind == JsonValueKind.Array
            && pair.GetArrayLength() == 2
            && pair[0].ValueKind == JsonValueKind.String
            && pair[1].ValueKind == JsonValueKind.String
        )
            return $"{pair[0].GetString()} {pair[1].GetString()}";
        throw new InvalidDataException($"Vocabulary '{path}', merge {index + 1}: {pair.GetRawText()} is not a pair of tokens.");
    }
}
