using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Loads models for ONNX Runtime, with the graph in their zip or one created from CLIP's towers there. The library finds this type
/// by its name.</summary>
internal sealed class OnnxBackend : IScoringBackend, IEmbeddingBackend
{
    private readonly DplOnnxRuntimeOptions _options;

    public OnnxBackend()
        : this(new DplOnnxRuntimeOptions()) { }

    public OnnxBackend(DplOnnxRuntimeOptions options)
    {
        _options = options;
        OnnxNative.EnsureStarted();
    }

    public ITransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        ModelColumns columns,
        string json,
        StoredDescription description
    )
    {
        IReadOnlyList<string> entries = description.Onnx is null ? ClipEntries.NamesOf(description.Contents) : OnnxEntries.Names;
        var output = new ScorerOutput(
            "probabilities",
            columns.Classes.Count,
            columns.BatchSize,
            "classifying one image",
            typeof(DplOnnxTransformer)
        );
        return Load(environment, reader, [ModelZipFormat.PromptsEntry, .. entries], description.Backbone, output.Transformer, kept =>
        {
            byte[] graph;
            if (description.Onnx is null)
                graph = TowerGraph.Create(kept, columns, description, Precision);
            else
            {
                RequirePrecision(description.OnnxPrecision);
                graph = OnnxEntries.ReadGraph(kept.ReadBytes);
            }
            OnnxScorer scorer = Scorer(graph, output, kept);
            return new DplOnnxTransformer(columns, description, json, scorer, kept);
        });
    }

    public ITransformer Load(IHostEnvironment environment, ModelReader reader, EmbeddingColumns columns, EmbeddingDescription description)
    {
        bool ofImages = description.Input == EmbeddedInput.Image;
        var output = new ScorerOutput(
            "embedding",
            Size: null,
            columns.BatchSize,
            ofImages ? "embedding one image" : "embedding one text",
            typeof(ClipOnnxEmbeddingTransformer)
        );
        return Load(
            environment,
            reader,
            ClipEntries.NamesOf(description.Contents),
            description.Backbone,
            output.Transformer,
            kept => new ClipOnnxEmbeddingTransformer(
                columns,
                description,
                ofImages ? ImageEmbedder(kept, description, output) : TextEmbedder(environment, kept, description, output),
                kept
            )
        );
    }

    private (IEmbedder, int) ImageEmbedder(KeptEntries kept, EmbeddingDescription description, ScorerOutput output)
    {
        OnnxScorer scorer = Scorer(TowerGraph.CreateEmbedding(kept, description.Normalize, Precision), output, kept);
        return (new OnnxImageEmbedder(scorer, description.Reading), scorer.Size);
    }

    private (IEmbedder, int) TextEmbedder(
        IHostEnvironment environment,
        KeptEntries kept,
        EmbeddingDescription description,
        ScorerOutput output
    )
    {
        ClipConfig config = TowerGraph.ReadConfig(kept);
        ClipVocabulary vocabulary = kept.Read(ClipEntries.Vocabulary, ids =>
            kept.Read(ClipEntries.Merges, merges => ClipVocabulary.ReadHuggingFace(ids, ClipEntries.Vocabulary, merges, ClipEntries.Merges))
        );
        var tokens = new TokenReader(new ClipTokenizer(vocabulary), config.ContextLength, description.RefuseLongTexts, problem =>
        {
            using var log = new HostLog(environment, output.Transformer.Name, "Transform");
            log.Warning(problem);
        });
        OnnxTextEmbedder embedder = Opened(
            TowerGraph.CreateTextEmbedding(kept, config, description.Normalize, Precision),
            session => new OnnxTextEmbedder(session, output, config, tokens)
        );
        return (embedder, embedder.Size);
    }

    private OnnxScorer Scorer(byte[] graph, ScorerOutput output, KeptEntries kept) => Opened(graph, session =>
        {
            byte[] preprocessor = kept.ReadBytes(ClipEntries.Preprocessor);
            return new OnnxScorer(session, output, size => ClipImageProcessorConfig.Parse(preprocessor, ClipEntries.Preprocessor, size));
        });

    private static ITransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        IReadOnlyList<string> entries,
        BackboneReference backbone,
        Type component,
        Func<KeptEntries, ITransformer> create
    )
    {
        var kept = new KeptEntries(reader, entries);
        try
        {
            ITransformer transformer = create(kept);
            using (var log = new HostLog(environment, component.Name, "Loading"))
                log.Info($"Scored by ONNX Runtime {OrtEnv.Instance().GetVersionString()}; CLIP: {backbone.Name}.");
            return transformer;
        }
        catch
        {
            kept.Dispose();
            throw;
        }
    }

    private T Opened<T>(byte[] graph, Func<InferenceSession, T> create)
    {
        InferenceSession session = Open(graph);
        try
        {
            return create(session);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The precision of graphs that are created on loading.</summary>
    private OnnxPrecision Precision => _options.Precision ?? OnnxPrecision.Float32;

    /// <summary>Requires that a saved graph, which is used unchanged, has the requested precision.</summary>
    private void RequirePrecision(OnnxPrecision saved)
    {
        if (_options.Precision is { } asked && asked != saved)
            throw new InvalidOperationException(
                $"The graph in the model zip has the precision {saved} and cannot be given {asked}: load it without a precision, or save "
                    + $"it, where the model was trained, with Contents = {nameof(ModelContents)}.{nameof(ModelContents.WithImageTower)}, "
                    + $"from which a graph of any precision can be made, or with OnnxPrecision = {asked}."
            );
    }

    private InferenceSession Open(byte[] graph)
    {
        using var session = new SessionOptions();
        if (_options.Threads is int threads)
            session.IntraOpNumThreads = threads;
        _options.Configure?.Invoke(session);
        try
        {
            return new InferenceSession(graph, session);
        }
        catch (OnnxRuntimeException e)
        {
            throw new InvalidDataException(
                $"ONNX Runtime {OrtEnv.Instance().GetVersionString()} cannot open the entry '{OnnxEntries.Graph}' of the model zip: "
                    + $"{e.Message} Save the model again, or update the package Microsoft.ML.OnnxRuntime.",
                e
            );
        }
    }
}
