using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Model.OnnxConverter;
using Microsoft.ML.Runtime;

[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Data")]

// Read by ComponentCatalog.RegisterAssembly, which Model.Load calls on the assembly that the zip names.
[assembly: LoadableClass(
    typeof(ITransformer),
    typeof(Microsoft.ML.Dpl.DplModelLoader),
    null,
    typeof(SignatureLoadModel),
    "Differentiable Prompt Learning",
    Microsoft.ML.Dpl.MLNet.MLNetInternals.LoaderSignature
)]

[assembly: LoadableClass(
    typeof(ITransformer),
    typeof(Microsoft.ML.Dpl.ClipEmbeddingLoader),
    null,
    typeof(SignatureLoadModel),
    "CLIP embedding",
    Microsoft.ML.Dpl.MLNet.MLNetInternals.EmbeddingLoaderSignature
)]

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The settings of the caller's <c>MLContext</c>.</summary>
/// <param name="Seed">The context's seed, if any.</param>
/// <param name="GpuDeviceId">The GPU's ordinal, if any.</param>
/// <param name="FallbackToCpu">Whether to fall back to the CPU if the GPU is missing.</param>
internal sealed record EnvironmentOptions(int? Seed, int? GpuDeviceId, bool FallbackToCpu);

/// <summary>The minimum capability that a reader of a model zip needs. Each value includes all those before it.</summary>
internal enum RequiredReader
{
    /// <summary>No capability beyond the oldest supported format.</summary>
    Any,

    /// <summary>Applying the EXIF orientation of images.</summary>
    TurnsImages,

    /// <summary>Layers that mix candidates.</summary>
    MixesCandidates,

    /// <summary>Class texts with a learned context, or averaged over templates.</summary>
    KnowsTextDesigns,

    /// <summary>Predicting no class if none reaches the threshold.</summary>
    KnowsThreshold,
}

/// <summary>The only code that uses internal members of ML.NET; a test keeps the list of them.</summary>
internal static class MLNetInternals
{
    /// <summary>Identifies the main stream as this library's. Eight characters; ML.NET stores the space as 0.</summary>
    public const string ModelSignature = "DPLCLIP ";

    /// <summary>The name that <c>LoadableClass</c> registers and the model zip stores; at most 24 characters.</summary>
    public const string LoaderSignature = "DplTransformer";

    /// <summary>The loader name, as <see cref="LoaderSignature"/>, for CLIP embeddings.</summary>
    public const string EmbeddingLoaderSignature = "ClipEmbedding";

    /// <summary>The version of the file format, which is independent of the library's version; the assembly version is frozen.</summary>
    /// <remarks>
    /// 1.2 adds entries that contain CLIP. A 1.1 reader ignores them and looks for CLIP elsewhere, as before.
    /// 1.3 applies the EXIF orientation. A 1.2 reader would silently predict differently, so it is rejected; models without this option
    /// are still written as 1.2.
    /// 1.4 adds mixtures of candidates. A 1.3 reader would treat a mixture in which the candidate without a prompt has the largest weight
    /// in every layer as plain CLIP.
    /// 1.5 adds a learned context in the classes' texts and averages over templates. A 1.4 reader would encode new classes without either.
    /// 1.6 adds a threshold below which no class is predicted. A 1.5 reader would predict one.
    /// </remarks>
    public const uint FormatVersion = 0x00010006;

    private const uint VersionOfTextDesigns = 0x00010005,
        VersionThatMixes = 0x00010004,
        VersionThatTurns = 0x00010003,
        VersionWithoutTurning = 0x00010002,
        OldestReader = 0x00010001,
        OldestReadable = 0x00010001;

    public static IHostEnvironment EnvironmentOf(MulticlassClassificationCatalog.MulticlassClassificationTrainers trainers) =>
        CatalogUtils.GetEnvironment(trainers);

    public static IHostEnvironment EnvironmentOf(MulticlassClassificationCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    public static IHostEnvironment EnvironmentOf(ModelOperationsCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    public static IHostEnvironment EnvironmentOf(TransformsCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    public static SchemaShape ShapeOf(DataViewSchema schema) => SchemaShape.Create(schema);

    /// <param name="name">The column's name.</param>
    /// <param name="kind">Scalar, or vector of known or unknown size.</param>
    /// <param name="itemType">The item type, never a key type: see <paramref name="isKey"/>.</param>
    /// <param name="isKey">Whether the items are keys whose raw type is <paramref name="itemType"/>.</param>
    /// <param name="annotations">One column per annotation.</param>
    public static SchemaShape.Column ShapeColumn(
        string name,
        SchemaShape.Column.VectorKind kind,
        DataViewType itemType,
        bool isKey = false,
        params SchemaShape.Column[] annotations
    ) => new(name, kind, itemType, isKey, new SchemaShape(annotations));

    /// <param name="host">A registered host, because the <c>MLContext</c> itself does not expose cancellation. Once cancelled, a context
    /// and all its hosts stay cancelled.</param>
    /// <exception cref="OperationCanceledException"><c>MLContext.CancelExecution</c> was called.</exception>
    public static void ThrowIfCanceled(IHost host)
    {
        if (host is ICancelable { IsCanceled: true })
            throw new OperationCanceledException("MLContext.CancelExecution was called.");
    }

    public static EnvironmentOptions OptionsOf(IHostEnvironment environment) =>
        environment is IHostEnvironmentInternal own
            ? new EnvironmentOptions(own.Seed, own.GpuDeviceId, own.FallbackToCpu)
            : new EnvironmentOptions(null, null, FallbackToCpu: true);

    /// <summary>Opens the model's folder in a model zip for writing and stores the versions that can read it.</summary>
    /// <param name="context">The context that <c>ICanSaveModel.Save</c> received.</param>
    /// <param name="loaderSignature">The name under which <paramref name="loaderAssembly"/> registers the loader.</param>
    /// <param name="loaderAssembly">The assembly in which <c>Model.Load</c> looks for the loader.</param>
    /// <param name="required">The minimum capability that a reader needs.</param>
    public static ModelWriter BeginSave(ModelSaveContext context, string loaderSignature, Assembly loaderAssembly, RequiredReader required)
    {
        context.CheckAtModel();
        (uint written, uint oldestReader) = required switch
        {
            RequiredReader.KnowsThreshold => (FormatVersion, FormatVersion),
            RequiredReader.KnowsTextDesigns => (VersionOfTextDesigns, VersionOfTextDesigns),
            RequiredReader.MixesCandidates => (VersionThatMixes, VersionThatMixes),
            RequiredReader.TurnsImages => (VersionThatTurns, VersionThatTurns),
            _ => (VersionWithoutTurning, OldestReader),
        };
        context.SetVersionInfo(CreateVersionInfo(loaderSignature, loaderAssembly, written, oldestReader));
        return new ModelWriter(context);
    }

    /// <summary>Checks signature and version, then reads the model's folder of a model zip. The message of a failure also goes to
    /// <c>MLContext.Log</c>.</summary>
    /// <remarks>ML.NET wraps exceptions in one <c>TargetInvocationException</c> per nested chain, and in two if they pass through
    /// <c>Process</c> or <c>Except</c>, so neither is used here.</remarks>
    public static T Load<T>(
        IHostEnvironment environment,
        ModelLoadContext context,
        string loaderSignature,
        Assembly loaderAssembly,
        Func<ModelReader, T> read
    )
    {
        try
        {
            CheckVersion(context, CreateVersionInfo(loaderSignature, loaderAssembly, written: FormatVersion, oldestReader: OldestReader));
            return read(new ModelReader(context));
        }
        catch (Exception e)
        {
            using IChannel channel = environment.Start("Load");
            channel.Error(MessageSensitivity.None, e.Message);
            throw;
        }
    }

    private static void CheckVersion(ModelLoadContext context, VersionInfo known)
    {
        try
        {
            context.CheckAtModel(known);
        }
        catch (FormatException e)
        {
            // ML.NET's own message refers to ML.NET's version and suggests retraining.
            throw new InvalidDataException(
                $"This version of Microsoft.ML.Dpl reads model format {FormatVersion:X8}, but the model zip has another: a newer version "
                    + "wrote it, or it is damaged. Update the package, or save the model again.",
                e
            );
        }
    }

    private static VersionInfo CreateVersionInfo(string loaderSignature, Assembly loaderAssembly, uint written, uint oldestReader) =>
        new(
            modelSignature: ModelSignature,
            verWrittenCur: written,
            verReadableCur: oldestReader,
            verWeCanReadBack: OldestReadable,
            loaderSignature: loaderSignature,
            loaderAssemblyName: loaderAssembly.FullName
        );
}

/// <summary>A transformed view that makes <c>Model.ConvertToOnnx</c> fail. <c>ConvertToOnnx</c> treats an unknown view as the pipeline's
/// input and would silently write a file without this transformation.</summary>
/// <param name="source">The view's input.</param>
internal abstract class UnconvertedView(IDataView source) : IDataTransform, ITransformCanSaveOnnx
{
    IDataView IDataTransform.Source => source;

    public abstract DataViewSchema Schema { get; }

    public abstract bool CanShuffle { get; }

    public abstract long? GetRowCount();

    public abstract DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null);

    public abstract DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null);

    /// <exception cref="NotSupportedException">Always.</exception>
    bool ICanSaveOnnx.CanSaveOnnx(OnnxContext ctx) => throw Unconverted();

    /// <exception cref="NotSupportedException">Always.</exception>
    void ISaveAsOnnx.SaveAsOnnx(OnnxContext ctx) => throw Unconverted();

    /// <exception cref="NotSupportedException">Always, because the transformer can be saved, not its view.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException("Save the transformer, with Model.Save.");

    private static NotSupportedException Unconverted() =>
        new(
            "ConvertToOnnx would leave CLIP out of the file. Call SaveAsOnnx on the DplTransformer or the ClipEmbeddingTransformer "
                + "instead; it comes with the package Microsoft.ML.Dpl.Onnx. Transformers that follow an embedding can be converted on "
                + "their own, with its vectors as their input."
        );
}

/// <summary>Writes the model's folder of a model zip: a main stream and further named streams.</summary>
internal sealed class ModelWriter(ModelSaveContext context)
{
    public void Write(int value) => context.Writer.Write(value);

    public void Write(string nonEmpty) => context.SaveNonEmptyString(nonEmpty);

    /// <summary>Writes through a temporary file, so nothing is held in memory.</summary>
    public void WriteText(string name, Action<TextWriter> write) => context.SaveTextStream(name, write);

    /// <inheritdoc cref="WriteText"/>
    public void WriteBinary(string name, Action<BinaryWriter> write) => context.SaveBinaryStream(name, write);
}

/// <summary>Reads the model's folder of a model zip.</summary>
internal sealed class ModelReader(ModelLoadContext context)
{
    public int ReadInt32() => context.Reader.ReadInt32();

    public string ReadNonEmptyString() => context.LoadNonEmptyString();

    /// <param name="name">The entry's name.</param>
    /// <param name="largest">The maximum size in bytes. It is checked on the temporary file that ML.NET has unpacked the entry to.</param>
    /// <param name="read">Must read everything it needs, because the stream is closed afterwards.</param>
    /// <returns>False if the zip has no such entry.</returns>
    /// <exception cref="InvalidDataException">The entry is larger than <paramref name="largest"/>.</exception>
    public bool TryReadText(string name, long largest, Action<TextReader> read) => context.TryLoadTextStream(name, text =>
        {
            if (text is StreamReader reader)
                RequireSize(name, reader.BaseStream, largest);
            read(text);
        });

    /// <inheritdoc cref="TryReadText"/>
    public bool TryReadBinary(string name, long largest, Action<BinaryReader> read) => context.TryLoadBinaryStream(name, reader =>
        {
            RequireSize(name, reader.BaseStream, largest);
            read(reader);
        });

    private static void RequireSize(string name, Stream stream, long largest)
    {
        if (stream.CanSeek && stream.Length > largest)
            throw new InvalidDataException(
                $"The entry '{name}' of the model zip has {stream.Length} bytes, more than the {largest} that it can have. Copy or "
                    + "save the model again."
            );
    }
}
