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

/// <summary>What the caller set on the <c>MLContext</c>.</summary>
/// <param name="Seed">The context's seed, if any.</param>
/// <param name="GpuDeviceId">The GPU's ordinal, if any.</param>
/// <param name="FallbackToCpu">Whether the CPU may stand in for a missing GPU.</param>
internal sealed record EnvironmentOptions(int? Seed, int? GpuDeviceId, bool FallbackToCpu);

/// <summary>What a reader of a model zip must know, beyond what the first one did; each knows what those before it do.</summary>
internal enum RequiredReader
{
    /// <summary>Nothing.</summary>
    Any,

    /// <summary>Turning images as their files ask.</summary>
    TurnsImages,

    /// <summary>Layers that mix candidates.</summary>
    MixesCandidates,

    /// <summary>Class texts with a learned context, or averaged over templates.</summary>
    KnowsTextDesigns,

    /// <summary>Predicting no class where none is probable enough.</summary>
    KnowsThreshold,
}

/// <summary>The only place that touches members that ML.NET keeps internal; a test holds the list of them.</summary>
internal static class MLNetInternals
{
    /// <summary>Eight characters, of which ML.NET stores the space as 0; it marks the main stream as ours.</summary>
    public const string ModelSignature = "DPLCLIP ";

    /// <summary>The name that <c>LoadableClass</c> registers and the model zip stores; at most 24 characters.</summary>
    public const string LoaderSignature = "DplTransformer";

    /// <summary>The same of CLIP's embeddings.</summary>
    public const string EmbeddingLoaderSignature = "ClipEmbedding";

    /// <summary>Of the format, not of the library: the assembly's version is frozen.</summary>
    /// <remarks>
    /// 1.2 adds entries that carry CLIP. A reader of 1.1 leaves them alone and looks for CLIP as ever.
    /// 1.3 turns images as their files ask. A reader of 1.2 would not, and predict otherwise without a word, so it is kept out; other
    /// models stay 1.2.
    /// 1.4 mixes candidates. A reader of 1.3 would take one whose largest weights are all those of the plain block for plain CLIP.
    /// 1.5 has a context in the classes' texts or averages them over templates. A reader of 1.4 would read new classes without them.
    /// 1.6 has a threshold below which no class is predicted. A reader of 1.5 would predict one.
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
    /// <param name="itemType">Never a key: that is <paramref name="isKey"/>.</param>
    /// <param name="isKey">Whether the items are keys whose raw type is <paramref name="itemType"/>.</param>
    /// <param name="annotations">One column per annotation.</param>
    public static SchemaShape.Column ShapeColumn(
        string name,
        SchemaShape.Column.VectorKind kind,
        DataViewType itemType,
        bool isKey = false,
        params SchemaShape.Column[] annotations
    ) => new(name, kind, itemType, isKey, new SchemaShape(annotations));

    /// <param name="host">A registered one: the <c>MLContext</c> itself does not tell. Once cancelled, a context and all its hosts stay
    /// so.</param>
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

    /// <summary>Opens our folder of a model zip for writing and stores who can read it back.</summary>
    /// <param name="context">As <c>ICanSaveModel.Save</c> received it.</param>
    /// <param name="loaderSignature">The name under which <paramref name="loaderAssembly"/> registers the loader.</param>
    /// <param name="loaderAssembly">The assembly that <c>Model.Load</c> looks into.</param>
    /// <param name="required">What readers must know.</param>
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

    /// <summary>Checks signature and version, then reads our folder of a model zip. A failure's message also goes to
    /// <c>MLContext.Log</c>.</summary>
    /// <remarks>The user gets <c>TargetInvocationException</c>s, one per nested chain, around ours; ML.NET wraps an exception passed
    /// through <c>Process</c> or <c>Except</c> twice as deep, so none is.</remarks>
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
            // ML.NET's own message speaks of its version and proposes to train again.
            throw new InvalidDataException(
                $"This version of Microsoft.ML.Dpl reads model format {FormatVersion:X8}, which the model zip is not of: a newer "
                    + "version wrote it, or it is damaged. Update the package, or save the model again.",
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

/// <summary>A transformed view that <c>Model.ConvertToOnnx</c> meets: a view that it does not know it takes for the pipeline's input, and
/// writes a file without what made it.</summary>
/// <param name="source">The input.</param>
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

    /// <exception cref="NotSupportedException">Always: the transformer is saved, not its view.</exception>
    void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException("Save the transformer, with Model.Save.");

    private static NotSupportedException Unconverted() =>
        new(
            "ConvertToOnnx would leave CLIP out of the file. Call SaveAsOnnx on the DplTransformer or the ClipEmbeddingTransformer "
                + "instead; it comes with the package Microsoft.ML.Dpl.Onnx. What follows an embedding is converted alone, from its "
                + "vectors on."
        );
}

/// <summary>Our folder of a model zip while it is written: a main stream and named streams beside it.</summary>
internal sealed class ModelWriter(ModelSaveContext context)
{
    public void Write(int value) => context.Writer.Write(value);

    public void Write(string nonEmpty) => context.SaveNonEmptyString(nonEmpty);

    /// <summary>Streams through a temporary file: nothing is held in memory.</summary>
    public void WriteText(string name, Action<TextWriter> write) => context.SaveTextStream(name, write);

    /// <inheritdoc cref="WriteText"/>
    public void WriteBinary(string name, Action<BinaryWriter> write) => context.SaveBinaryStream(name, write);
}

/// <summary>Our folder of a model zip while it is read.</summary>
internal sealed class ModelReader(ModelLoadContext context)
{
    public int ReadInt32() => context.Reader.ReadInt32();

    public string ReadNonEmptyString() => context.LoadNonEmptyString();

    /// <param name="name">The entry.</param>
    /// <param name="largest">The most bytes it may have. ML.NET has written it to a temporary file by then, which tells.</param>
    /// <param name="read">Must take what it needs: the stream is closed afterwards.</param>
    /// <returns>False where the zip has no such entry.</returns>
    /// <exception cref="InvalidDataException">The entry is larger.</exception>
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
