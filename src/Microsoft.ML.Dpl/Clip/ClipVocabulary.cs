using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Dpl.Hub;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The tokens of a byte-pair vocabulary and the order of its merges, read from any of the published layouts and checked.</summary>
/// <param name="Ids">Maps token text, in the byte-level alphabet, to ids.</param>
/// <param name="Merges">Pairs of tokens separated by one space, in order of priority.</param>
/// <param name="Location">The file or files, for error messages.</param>
internal sealed record ClipVocabulary(IReadOnlyDictionary<string, int> Ids, IReadOnlyList<string> Merges, string Location)
{
    public const string StartToken = "<|startoftext|>",
        EndToken = "<|endoftext|>",
        EndOfWord = "</w>";

    /// <summary>OpenAI's file unpacks to 3.2 MB, but a malicious file of a few kilobytes could unpack to more than fits into
    /// memory.</summary>
    private const long LargestUnpacked = 1 << 26;

    private const int ByteCount = 256,
        PrintingCount = 188,
        MaximumId = 10_000_000;

    /// <summary>OpenAI's file contains more merges than its vocabulary of 49,408 tokens uses.</summary>
    private const int OpenAIMergeCount = 49152 - ByteCount - 2;

    /// <summary>Reads <c>vocab.json</c> (token to id) and <c>merges.txt</c> (one pair per line).</summary>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed; the message names it.</exception>
    public static ClipVocabulary ReadHuggingFace(string vocabularyPath, string mergesPath)
    {
        using Stream vocabulary = OpenExisting(vocabularyPath),
            merges = OpenExisting(mergesPath);
        return ReadHuggingFace(vocabulary, vocabularyPath, merges, mergesPath);
    }

    /// <summary>Reads the same content from streams, as written by <see cref="WriteIds"/> and <see cref="WriteMerges"/>; the names are for
    /// error messages.</summary>
    /// <exception cref="InvalidDataException">A stream is malformed; the message names it.</exception>
    public static ClipVocabulary ReadHuggingFace(Stream vocabulary, string vocabularyName, Stream merges, string mergesName)
    {
        var ids = ReadTokenTable(vocabulary, vocabularyName);
        using StreamReader reader = new(merges, leaveOpen: true);
        var pairs = ReadMerges(reader, mergesName, int.MaxValue);
        CheckMerges(ids, pairs, mergesName, vocabularyName);
        return new ClipVocabulary(ids, pairs, $"'{vocabularyName}' and '{mergesName}'");
    }

    /// <summary>Writes <c>vocab.json</c>.</summary>
    public void WriteIds(Stream stream) => JsonSerializer.Serialize(stream, Ids);

    /// <summary>Writes <c>merges.txt</c>.</summary>
    public void WriteMerges(Stream stream)
    {
        using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine("#version: 0.2");
        foreach (string pair in Merges)
            writer.WriteLine(pair);
    }

    /// <summary>Reads <c>bpe_simple_vocab_16e6.txt.gz</c>: the ids follow from the order of the bytes and merges.</summary>
    /// <exception cref="FileNotFoundException">The file is missing.</exception>
    /// <exception cref="InvalidDataException">The file is malformed or unpacks to more than 64 MiB; the message names it.</exception>
    public static ClipVocabulary ReadOpenAI(string path)
    {
        List<string> merges;
        try
        {
            using StreamReader reader = new(
                new BoundedStream(new GZipStream(OpenExisting(path), CompressionMode.Decompress), LargestUnpacked, path)
            );
            merges = ReadMerges(reader, path, OpenAIMergeCount);
        }
        catch (InvalidDataException e) when (!e.Message.Contains(path, StringComparison.Ordinal))
        {
            throw new InvalidDataException($"Vocabulary '{path}' is not a gzip file, or it is damaged: {e.Message}", e);
        }

        var ids = new Dictionary<string, int>(OpenAIMergeCount + 2 * ByteCount + 2);
        string[] symbols = ByteSymbols();
        foreach (string token in symbols)
            ids.Add(token, ids.Count);
        foreach (string token in symbols)
            ids.Add(token + EndOfWord, ids.Count);
        for (int i = 0; i < merges.Count; i++)
        {
            string token = merges[i].Replace(" ", "", StringComparison.Ordinal);
            if (!ids.TryAdd(token, ids.Count))
                throw new InvalidDataException($"Vocabulary '{path}', merge {i + 1}: '{token}' occurs twice.");
        }
        ids.Add(StartToken, ids.Count);
        ids.Add(EndToken, ids.Count);
        CheckMerges(ids, merges, path, path);
        return new ClipVocabulary(ids, merges, $"'{path}'");
    }

    /// <summary>The printable symbols for the 256 bytes in GPT-2's order: printable bytes represent themselves, and the others are mapped
    /// to U+0100 and up.</summary>
    public static string[] ByteSymbols() => [.. BytesInOrder().Select((b, i) => $"{SymbolOf(b, i)}")];

    /// <summary>The bytes that the symbols represent.</summary>
    public static IReadOnlyDictionary<char, byte> BytesOfSymbols() =>
        BytesInOrder().Select((b, i) => (SymbolOf(b, i), Byte: (byte)b)).ToDictionary(pair => pair.Item1, pair => pair.Byte);

    private static bool Prints(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);

    private static int[] BytesInOrder() => [.. Enumerable.Range(0, ByteCount).OrderBy(b => Prints(b) ? 0 : 1)];

    private static char SymbolOf(int b, int place) => Prints(b) ? (char)b : (char)(ByteCount + place - PrintingCount);

    private static Dictionary<string, int> ReadTokenTable(Stream stream, string path)
    {
        Dictionary<string, int>? ids;
        try
        {
            ids = JsonSerializer.Deserialize<Dictionary<string, int>>(stream);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Vocabulary '{path}' is not a JSON object of token to id: {e.Message}", e);
        }
        if (ids is null)
            throw new InvalidDataException($"Vocabulary '{path}' is empty.");
        foreach (string token in (string[])[StartToken, EndToken])
            if (!ids.ContainsKey(token))
                throw new InvalidDataException($"Vocabulary '{path}' has no token '{token}'.");

        var seen = new HashSet<int>(ids.Count);
        foreach (var (token, id) in ids)
        {
            if (id < 0)
                throw new InvalidDataException($"Vocabulary '{path}': token '{token}' has the negative id {id}.");
            if (id > MaximumId)
                throw new InvalidDataException($"Vocabulary '{path}': id {id} of token '{token}' is beyond {MaximumId}.");
            if (!seen.Add(id))
                throw new InvalidDataException($"Vocabulary '{path}': id {id} of token '{token}' already belongs to another token.");
        }
        return ids;
    }

    private static List<string> ReadMerges(StreamReader reader, string path, int most)
    {
        var merges = new List<string>(OpenAIMergeCount);
        for (int line = 1; merges.Count < most && reader.ReadLine() is { } text; line++)
        {
            // The first line states the format's version; in OpenAI's file it follows a file name in quotes.
            if (text.Length == 0 || (line == 1 && text.Contains("#version", StringComparison.Ordinal)))
                continue;
            int space = text.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0 || space == text.Length - 1 || text.IndexOf(' ', space + 1) >= 0)
                throw new InvalidDataException(
                    $"Merges '{path}', line {line}: '{ShownText.Escape(text)}' is not two tokens separated by one space."
                );
            merges.Add(text);
        }
        if (merges.Count == 0)
            throw new InvalidDataException($"Merges '{path}' contains no merges.");
        return merges;
    }

    private static void CheckMerges(Dictionary<string, int> ids, List<string> merges, string mergesPath, string vocabularyPath)
    {
        var seen = new HashSet<string>(merges.Count, StringComparer.Ordinal);
        for (int i = 0; i < merges.Count; i++)
        {
            if (!seen.Add(merges[i]))
                throw new InvalidDataException($"Merges '{mergesPath}', merge {i + 1} ('{merges[i]}'): the pair occurs twice.");
            string[] parts = merges[i].Split(' ');
            foreach (string token in (string[])[parts[0], parts[1], parts[0] + parts[1]])
                if (!ids.ContainsKey(token))
                    throw new InvalidDataException(
                        $"Merges '{mergesPath}', merge {i + 1} ('{merges[i]}'): '{token}' is not in the vocabulary '{vocabularyPath}'."
                    );
        }
    }

    private static FileStream OpenExisting(string path) =>
        File.Exists(path) ? ModelFile.Open(path) : throw new FileNotFoundException($"Vocabulary file '{path}' does not exist.", path);
}

/// <summary>Reads the vocabulary of a <c>tokenizer.json</c>, the single file that newer tools write instead of vocab.json and
/// merges.txt.</summary>
internal static class TokenizerJson
{
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not a byte-pair vocabulary of a CLIP.</exception>
    public static ClipVocabulary Read(string path)
    {
        if (!File.Exists(path))
            throw new FileNotFoundException($"Vocabulary file '{path}' does not exist.", path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(ModelFile.ReadAll(path));
            if (
                document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("model", out JsonElement model)
                || model.ValueKind != JsonValueKind.Object
                || !model.TryGetProperty("vocab", out JsonElement ids)
                || !model.TryGetProperty("merges", out JsonElement merges)
                || merges.ValueKind != JsonValueKind.Array
            )
                throw new InvalidDataException(
                    $"Vocabulary '{path}' has no 'model' with 'vocab' and 'merges', so it is not a byte-pair tokenizer."
                );
            // CLIP marks the end of words; a vocabulary with another marker would tokenize every text wrongly.
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

    /// <summary>Reads a merge: a string of two tokens, or in newer files an array of two.</summary>
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

/// <summary>The files of a vocabulary: vocab.json with merges.txt, a tokenizer.json, or OpenAI's bpe_simple_vocab_16e6.txt.gz.</summary>
/// <param name="Path">The file, or the first of the two.</param>
/// <param name="MergesPath">merges.txt; null for the single files.</param>
internal sealed record VocabularyFiles(string Path, string? MergesPath)
{
    public const string Ids = "vocab.json",
        Merges = "merges.txt",
        Tokenizer = "tokenizer.json",
        OpenAI = "bpe_simple_vocab_16e6.txt.gz";

    /// <summary>The vocabulary files of a folder; if there are none, the vocab.json and merges.txt that are expected there.</summary>
    public static VocabularyFiles In(string folder) =>
        TryIn(folder) ?? new(System.IO.Path.Combine(folder, Ids), System.IO.Path.Combine(folder, Merges));

    /// <summary>The vocabulary files of a folder, in any layout; null if there are none.</summary>
    public static VocabularyFiles? TryIn(string folder)
    {
        string At(string name) => System.IO.Path.Combine(folder, name);
        if (File.Exists(At(Ids)) && File.Exists(At(Merges)))
            return new(At(Ids), At(Merges));
        return ((string[])[Tokenizer, OpenAI])
            .Where(name => File.Exists(At(name)))
            .Select(name => new VocabularyFiles(At(name), null))
            .FirstOrDefault();
    }

    /// <summary>The vocabulary at a path given by the user: a folder, or one of the files; merges.txt is expected in the folder of
    /// vocab.json.</summary>
    public static VocabularyFiles Named(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        if (Directory.Exists(path))
            return TryIn(path)
                ?? throw new FileNotFoundException(
                    $"The folder '{path}' has no vocabulary: neither {Ids} and {Merges}, nor {Tokenizer}, nor {OpenAI}.",
                    System.IO.Path.Combine(path, Ids)
                );
        bool isTable = System.IO.Path.GetFileName(path).EndsWith(Ids, StringComparison.OrdinalIgnoreCase);
        return new(path, isTable ? System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path)!, Merges) : null);
    }

    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    public void RequirePresent()
    {
        foreach (string path in ((string?[])[Path, MergesPath]).OfType<string>())
        {
            if (File.Exists(path))
                continue;
            string advice = MergesPath is null
                ? $"{OpenAI} comes with OpenAI's CLIP source code; {Ids} and {Merges} of any CLIP with the same vocabulary serve as well."
                : $"A CLIP's folder has both {Ids} and {Merges}, or {Tokenizer}; download them from the model's page.";
            throw new FileNotFoundException($"The tokenizer's file '{path}' is missing. {advice}", path);
        }
    }

    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is malformed.</exception>
    public ClipVocabulary Read()
    {
        if (MergesPath is not null)
            return ClipVocabulary.ReadHuggingFace(Path, MergesPath);
        return Path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? TokenizerJson.Read(Path) : ClipVocabulary.ReadOpenAI(Path);
    }
}
