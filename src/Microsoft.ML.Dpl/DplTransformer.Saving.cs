using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

// Saving to a model zip, and loading.
public sealed partial class DplTransformer
{
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ModelContents contents = Contents;
        _scorer.Use(() =>
        {
            using ClipEntries clip = ClipEntries.From(Backbone, contents, _device);
            StoredDescription description = _description.With(contents, OnnxPrecision) with { ClassNames = ClassNames };
            ModelZipFormat.Write(
                ctx,
                MLNetInternals.LoaderSignature,
                typeof(DplTransformer).Assembly,
                _columns,
                description.ToJson(),
                description.Required,
                [
                    (ModelZipFormat.PromptsEntry, writer => _prompts.Write(writer.BaseStream)),
                    .. clip.Streams,
                    .. contents == ModelContents.WithOnnx ? GraphStreams(OnnxWriter.Find()) : [],
                ]
            );
            return contents;
        });
    }

    private IReadOnlyList<(string, Action<BinaryWriter>)> GraphStreams(IOnnxWriter writer) =>
        OnnxEntries.Create(Preprocessing, stream => writer.Write(this, _scorer.Classifier, stream));

    /// <summary>Reads the rest of a model zip; its CLIP comes from the zip or is found on this machine.</summary>
    internal static DplTransformer Load(IHostEnvironment env, ModelReader reader, ModelColumns columns, StoredDescription description)
    {
        using var log = new HostLog(env, nameof(DplTransformer), "Loading");
        EnvironmentOptions options = MLNetInternals.OptionsOf(env);
        TorchSharp.torch.Device device = ComputeDevice.Choose(null, options.GpuDeviceId, options.FallbackToCpu, log.Info, log.Warning);
        ClipBackbone backbone = ClipEntries.ReadOrFind(reader, description.Backbone, description.Contents);
        // Keeps the CLIP until the transformer holds it.
        using IDisposable? untilThen = backbone.Hold();
        log.Info($"Backbone: {backbone}.");
        description.RequireLayers(backbone.Config.Text.Layers, backbone.Config.Image.Layers);
        TrainedPrompts prompts = ModelZipFormat.ReadStream(reader, ModelZipFormat.PromptsEntry, stream =>
            TrainedPrompts.Read(
                stream.BaseStream,
                ModelZipFormat.PromptsEntry,
                description.Configuration,
                description.Mixture?.CandidateLengths,
                description.ContextLayout,
                columns.Classes.Count,
                backbone.Config
            )
        );
        try
        {
            // Sets the fields directly: whether an ONNX writer is available matters only when the model is saved again.
            return new DplTransformer(columns, description, prompts, backbone, device)
            {
                _contents = description.Contents,
                _onnxPrecision = description.OnnxPrecision,
            };
        }
        catch
        {
            prompts.Dispose();
            throw;
        }
    }
}

/// <summary>The loader that ML.NET calls for a model of this library.</summary>
internal static class DplModelLoader
{
    // Found by ComponentCatalog through the LoadableClass attribute in MLNetInternals.cs.
    private static ITransformer Create(IHostEnvironment env, ModelLoadContext ctx) =>
        MLNetInternals.Load<ITransformer>(env, ctx, MLNetInternals.LoaderSignature, typeof(DplTransformer).Assembly, reader =>
        {
            ModelColumns columns = ModelZipFormat.ReadColumns(reader);
            string json = ModelZipFormat.ReadDescription(reader);
            StoredDescription description = StoredDescription.FromJson(json);
            return ScoringBackend.For(description.Light) is { } backend
                ? backend.Load(env, reader, columns, json, description)
                : DplTransformer.Load(env, reader, columns, description);
        });
}
