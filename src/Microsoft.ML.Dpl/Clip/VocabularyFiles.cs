namespace Microsoft.ML.Dpl.Clip;

/// <summary>Where a vocabulary lies: vocab.json with merges.txt, a tokenizer.json, or OpenAI's bpe_simple_vocab_16e6.txt.gz.</summary>
/// <param name="Path">The file, or the first of the two.</param>
/// <param name="MergesPath">merges.txt; null for the single files.</param>
internal sealed record VocabularyFiles(string Path, string? MergesPath)
{
    public const string Ids = "vocab.json",
        Merges = "merges.txt",
        Tokenizer = "tokenizer.json",
        OpenAI = "bpe_simple_vocab_16e6.txt.gz";

    /// <summary>The files of a folder in Hugging Face's layout; where there are none, the two that should be there.</summary>
    public static VocabularyFiles In(string folder) =>
        TryIn(folder) ?? new(System.IO.Path.Combine(folder, Ids), System.IO.Path.Combine(folder, Merges));

    /// <summary>Any vocabulary in a folder; null where there is none.</summary>
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

    /// <summary>What a person names: a folder, or one of the files; merges.txt is looked for beside vocab.json.</summary>
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
