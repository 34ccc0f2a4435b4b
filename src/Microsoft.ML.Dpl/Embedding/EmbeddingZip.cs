using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>The columns of an embedding.</summary>
/// <param name="Input">The column to embed.</param>
/// <param name="Output">The added column.</param>
/// <param name="BatchSize">Rows per forward pass, at least 1.</param>
internal sealed record EmbeddingColumns(string Input, string Output, int BatchSize);

/// <summary>An embedding's folder in an ML.NET model zip.</summary>
internal static class EmbeddingZip
{
    // *** Binary format ***
    // main stream (Model.key):
    //   int: id of string: input column name, not empty
    //   int: id of string: output column name, not empty
    //   int: batch size, at least 1
    // text stream clip-embedding.json: JSON, UTF-8
    // binary streams of ClipEntries, if the zip contains CLIP

    /// <param name="context">The context that <c>ICanSaveModel.Save</c> received.</param>
    /// <param name="columns">Written to the main stream.</param>
    /// <param name="description">Written to <see cref="ModelZipFormat.EmbeddingEntry"/>.</param>
    /// <param name="clip">The entries with CLIP, written one after another, each through a temporary file.</param>
    public static void Write(
        ModelSaveContext context,
        EmbeddingColumns columns,
        EmbeddingDescription description,
        IEnumerable<(string Name, Action<BinaryWriter> Write)> clip
    )
    {
        ModelWriter writer = MLNetInternals.BeginSave(
            context,
            MLNetInternals.EmbeddingLoaderSignature,
            typeof(EmbeddingZip).Assembly,
            RequiredReader.Any
        );
        writer.Write(columns.Input);
        writer.Write(columns.Output);
        writer.Write(columns.BatchSize);
        writer.WriteText(ModelZipFormat.EmbeddingEntry, text => text.Write(description.ToJson()));
        foreach ((string name, Action<BinaryWriter> write) in clip)
            writer.WriteBinary(name, write);
    }

    /// <exception cref="InvalidDataException">A value is outside its range, an entry is missing, or the stream is truncated.</exception>
    public static (EmbeddingColumns Columns, EmbeddingDescription Description) Read(ModelReader reader)
    {
        EmbeddingColumns columns;
        try
        {
            columns = new EmbeddingColumns(reader.ReadNonEmptyString(), reader.ReadNonEmptyString(), reader.ReadInt32());
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or InvalidOperationException or ArgumentException)
        {
            // The messages of ML.NET's string reader do not say that the zip is at fault.
            throw new InvalidDataException($"The columns of the model zip cannot be read: {e.Message} Copy or save the model again.", e);
        }
        if (columns.BatchSize < 1)
            throw new InvalidDataException(
                $"The model zip names a batch size of {columns.BatchSize}. It was written by a newer version, or is damaged; save the "
                    + "model again."
            );
        return (columns, EmbeddingDescription.FromJson(ModelZipFormat.ReadText(reader, ModelZipFormat.EmbeddingEntry)));
    }
}

/// <summary>The part of an <see cref="IScoringBackend"/> that loads embeddings.</summary>
internal interface IEmbeddingBackend
{
    /// <param name="environment">The environment of the caller.</param>
    /// <param name="reader">Reads the component's folder of the zip.</param>
    /// <param name="columns">The columns given in the main stream.</param>
    /// <param name="description">The description of an embedding whose zip contains CLIP.</param>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    ITransformer Load(IHostEnvironment environment, ModelReader reader, EmbeddingColumns columns, EmbeddingDescription description);
}
