using System.Reflection;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Models;

/// <summary>The columns and classes of a saved model, which its schema is built from.</summary>
/// <param name="ImageColumnName">The input column with the images.</param>
/// <param name="PredictedLabelColumnName">The output column with the most probable class.</param>
/// <param name="ScoreColumnName">The output column with the probabilities.</param>
/// <param name="BatchSize">Images per forward pass, at least 1.</param>
/// <param name="Classes">The classes, in score order.</param>
internal sealed record ModelColumns(
    string ImageColumnName,
    string PredictedLabelColumnName,
    string ScoreColumnName,
    int BatchSize,
    LabelClasses Classes
);

/// <summary>The content of the model's folder in an ML.NET model zip.</summary>
internal static class ModelZipFormat
{
    /// <summary>The human-readable entry: method, options, chosen configuration, backbone.</summary>
    public const string DescriptionEntry = "dpl.json";

    /// <summary>The entry with the prompts and the classes' features.</summary>
    public const string PromptsEntry = "prompts.safetensors";

    /// <summary>The human-readable entry of an embedding model: what is embedded, and with which CLIP.</summary>
    public const string EmbeddingEntry = "clip-embedding.json";

    private const long LargestText = 1 << 28,
        LargestConfiguration = 1 << 20,
        LargestVocabulary = 1 << 28,
        LargestDigest = 1 << 10;

    /// <summary>The maximum number of bytes that are read of an entry, whatever size it claims; null if the limit follows from its content,
    /// as for weights.</summary>
    public static long? LargestSizeOf(string entry) =>
        entry switch
        {
            DescriptionEntry => LargestText,
            EmbeddingEntry => LargestConfiguration,
            ClipEntries.Config or ClipEntries.Preprocessor => LargestConfiguration,
            ClipEntries.Vocabulary or ClipEntries.Merges => LargestVocabulary,
            OnnxEntries.Graph => OnnxEntries.LargestGraph,
            OnnxEntries.Digest => LargestDigest,
            _ => null,
        };

    // *** Binary format ***
    // main stream (Model.key):
    //   int: id of string: image column name, not empty
    //   int: id of string: predicted-label column name, not empty
    //   int: id of string: score column name, not empty
    //   int: batch size, at least 1
    //   int: label kind, 0 key, 1 text
    //   int: type of the key's values, as KeyValueAnnotation numbers them
    //   int: number of classes, at least 1
    //   int[number of classes]: ids of strings: class names, not blank
    // text stream dpl.json: JSON, UTF-8
    // binary streams, named by the caller: tensors and what belongs to them

    /// <param name="context">The context that <c>ICanSaveModel.Save</c> received.</param>
    /// <param name="loaderSignature">The name under which <paramref name="loaderAssembly"/> registers the loader.</param>
    /// <param name="loaderAssembly">The assembly in which <c>Model.Load</c> looks for the loader.</param>
    /// <param name="columns">Written to the main stream.</param>
    /// <param name="json">Written to <see cref="DescriptionEntry"/>.</param>
    /// <param name="required">The minimum capability that a reader needs.</param>
    /// <param name="streams">Further entries, written one after another, each through a temporary file.</param>
    public static void Write(
        ModelSaveContext context,
        string loaderSignature,
        Assembly loaderAssembly,
        ModelColumns columns,
        string json,
        RequiredReader required,
        params (string Name, Action<BinaryWriter> Write)[] streams
    )
    {
        ModelWriter writer = MLNetInternals.BeginSave(context, loaderSignature, loaderAssembly, required);
        writer.Write(columns.ImageColumnName);
        writer.Write(columns.PredictedLabelColumnName);
        writer.Write(columns.ScoreColumnName);
        writer.Write(columns.BatchSize);
        writer.Write((int)columns.Classes.Kind);
        writer.Write(KeyValueAnnotation.CodeOf(columns.Classes.ValueType));
        writer.Write(columns.Classes.Count);
        foreach (string name in columns.Classes.Names)
            writer.Write(name);
        writer.WriteText(DescriptionEntry, text => text.Write(json));
        foreach ((string name, Action<BinaryWriter> write) in streams)
            writer.WriteBinary(name, write);
    }

    /// <exception cref="InvalidDataException">A value is outside its range, or the stream is truncated.</exception>
    public static ModelColumns ReadColumns(ModelReader reader)
    {
        try
        {
            return ReadCheckedColumns(reader);
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or InvalidOperationException or ArgumentException)
        {
            // The messages of ML.NET's string reader and of the class name check do not say that the zip is at fault.
            throw new InvalidDataException(
                $"The columns and classes of the model zip cannot be read: {e.Message} Copy or save the model again.",
                e
            );
        }
    }

    private static ModelColumns ReadCheckedColumns(ModelReader reader)
    {
        string image = reader.ReadNonEmptyString(),
            predicted = reader.ReadNonEmptyString(),
            score = reader.ReadNonEmptyString();
        int batchSize = reader.ReadInt32();
        if (batchSize < 1)
            throw Damaged($"a batch size of {batchSize}");
        var kind = (LabelKind)reader.ReadInt32();
        if (!Enum.IsDefined(kind))
            throw Damaged($"the unknown label kind {(int)kind}");
        var valueType = KeyValueAnnotation.TypeOf(reader.ReadInt32());
        int count = reader.ReadInt32();
        if (count < 1)
            throw Damaged($"{count} classes");
        var names = new List<string>();
        for (int i = 0; i < count; i++)
            names.Add(reader.ReadNonEmptyString());
        if (!KeyValueAnnotation.Fit(names, valueType))
            throw Damaged($"classes that are not of its type {valueType}");
        return new ModelColumns(image, predicted, score, batchSize, new LabelClasses(kind, names, valueType, "The model zip"));
    }

    /// <exception cref="InvalidDataException">The entry is missing or too large.</exception>
    public static string ReadDescription(ModelReader reader) => ReadText(reader, DescriptionEntry);

    /// <summary>Reads a whole text entry.</summary>
    /// <exception cref="InvalidDataException">The entry is missing or too large.</exception>
    public static string ReadText(ModelReader reader, string name)
    {
        string read = "";
        return reader.TryReadText(name, LargestSizeOf(name) ?? LargestText, text => read = text.ReadToEnd()) ? read : throw Missing(name);
    }

    /// <param name="reader">The model's folder in the zip.</param>
    /// <param name="name">The entry's name, as it was written.</param>
    /// <param name="read">Must read everything it needs, because the stream is closed afterwards.</param>
    /// <exception cref="InvalidDataException">The entry is missing, too large, or ends too early.</exception>
    public static T ReadStream<T>(ModelReader reader, string name, Func<BinaryReader, T> read)
    {
        T? value = default;
        Named(name, () =>
            reader.TryReadBinary(name, LargestSizeOf(name) ?? long.MaxValue, stream => value = read(stream)) ? value : throw Missing(name)
        );
        return value!;
    }

    /// <summary>Reads from an entry, adding the entry's name to exceptions.</summary>
    /// <exception cref="InvalidDataException">The entry is damaged or ends too early.</exception>
    public static T Named<T>(string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (EndOfStreamException e)
        {
            throw new InvalidDataException($"The entry '{name}' of the model zip ends too early. Copy or save the model again.", e);
        }
        catch (InvalidDataException e) when (!e.Message.Contains(name, StringComparison.Ordinal))
        {
            // Exceptions from decompression do not name the entry.
            throw new InvalidDataException($"The entry '{name}' of the model zip is damaged: {e.Message} Copy or save the model again.", e);
        }
    }

    /// <summary>Reads a whole entry.</summary>
    /// <exception cref="InvalidDataException">The entry is missing or too large.</exception>
    public static byte[] ReadBytes(ModelReader reader, string name) => ReadStream(reader, name, stream =>
        {
            using var bytes = new MemoryStream(stream.BaseStream.CanSeek ? checked((int)stream.BaseStream.Length) : 0);
            stream.BaseStream.CopyTo(bytes);
            // Avoids a second copy of a large ONNX graph.
            return bytes.Length == bytes.Capacity ? bytes.GetBuffer() : bytes.ToArray();
        });

    private static InvalidDataException Missing(string name) =>
        new($"The model zip has no entry '{name}'. It was saved incompletely or changed afterwards; save the model again.");

    private static InvalidDataException Damaged(string what) =>
        new($"The model zip names {what}. It was written by a newer version, or is damaged; save the model again.");
}
