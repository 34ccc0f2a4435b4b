using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>Loads models for ONNX Runtime. The library finds it by its name.</summary>
internal sealed class OnnxBackend(DplOnnxRuntimeOptions options) : IScoringBackend
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
        byte[] prompts = ModelZip.ReadBytes(reader, ModelZip.PromptsEntry),
            preprocessor = ModelZip.ReadBytes(reader, ClipEntries.Preprocessor),
            graph = OnnxEntries.ReadGraph(reader);
        var kept = new KeptEntries(json, prompts, graph);
        try
        {
            InferenceSession session = Open(graph);
            try
            {
                var scorer = new OnnxScorer(session, columns, size =>
                    ClipImageProcessorConfig.Parse(preprocessor, ClipEntries.Preprocessor, size)
                );
                using (var log = new HostLog(environment, nameof(DplOnnxTransformer), "Loading"))
                    log.Info($"Scored by ONNX Runtime {OrtEnv.Instance().GetVersionString()}; CLIP: {description.Backbone.Name}.");
                return new DplOnnxTransformer(columns, description, scorer, kept);
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
