using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Loads models for ONNX Runtime: by the graph in their zip, or by one that is made of the image tower there. The library finds
/// it by its name.</summary>
internal sealed class OnnxBackend(DplOnnxRuntimeOptions options) : IScoringBackend, IEmbeddingBackend
{
    public OnnxBackend()
        : this(new DplOnnxRuntimeOptions()) { }

    public ITransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        ModelColumns columns,
        string json,
        StoredDescription description
    )
    {
        IReadOnlyList<string> entries = description.Onnx is null ? ClipEntries.NamesOf(description.Contents) : OnnxEntries.Names;
        return Load(
            environment,
            reader,
            [ModelZip.PromptsEntry, .. entries],
            nameof(DplOnnxTransformer),
            description.Backbone,
            description.Onnx is null
                ? kept => TowerGraph.Create(kept, columns, description)
                : kept => OnnxEntries.ReadGraph(kept.ReadBytes),
            new ScorerOutput(
                "probabilities",
                columns.Classes.Count,
                columns.BatchSize,
                "classifying one image",
                typeof(DplOnnxTransformer)
            ),
            (scorer, kept) => new DplOnnxTransformer(columns, description, json, scorer, kept)
        );
    }

    public ITransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        EmbeddingColumns columns,
        EmbeddingDescription description
    ) =>
        Load(
            environment,
            reader,
            ClipEntries.NamesOf(description.Contents),
            nameof(ClipOnnxEmbeddingTransformer),
            description.Backbone,
            kept => TowerGraph.CreateEmbedding(kept, description.Normalize),
            new ScorerOutput("embedding", Size: null, columns.BatchSize, "embedding one image", typeof(ClipOnnxEmbeddingTransformer)),
            (scorer, kept) => new ClipOnnxEmbeddingTransformer(columns, description, scorer, kept)
        );

    private ITransformer Load(
        IHostEnvironment environment,
        ModelReader reader,
        IReadOnlyList<string> entries,
        string component,
        BackboneReference backbone,
        Func<KeptEntries, byte[]> graph,
        ScorerOutput output,
        Func<OnnxScorer, KeptEntries, ITransformer> create
    )
    {
        var kept = new KeptEntries(reader, entries);
        try
        {
            InferenceSession session = Open(graph(kept));
            try
            {
                byte[] preprocessor = kept.ReadBytes(ClipEntries.Preprocessor);
                var scorer = new OnnxScorer(session, output, size =>
                    ClipImageProcessorConfig.Parse(preprocessor, ClipEntries.Preprocessor, size)
                );
                using (var log = new HostLog(environment, component, "Loading"))
                    log.Info($"Scored by ONNX Runtime {OrtEnv.Instance().GetVersionString()}; CLIP: {backbone.Name}.");
                return create(scorer, kept);
            }
            catch
            {
                session.Dispose();
                throw;
            }
        }
        catch
        {
            kept.Dispose();
            throw;
        }
    }

    private InferenceSession Open(byte[] graph)
    {
        using var session = new SessionOptions();
        if (options.Threads is int threads)
            session.IntraOpNumThreads = threads;
        options.Configure?.Invoke(session);
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
