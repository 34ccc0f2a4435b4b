using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>A classifier like the result of a fit that trains the mixture itself.</summary>
internal sealed class MixtureModel : IDisposable
{
    public const string Template = "a photo of a {}.";

    private readonly IDisposable _scope;
    private readonly Generator _generator;
    private readonly Lease<TextWeights> _text;
    private readonly Lease<ImageWeights> _image;
    private readonly ClassTexts _texts;
    private readonly ImageTower _tower;

    /// <param name="backbone">The CLIP.</param>
    /// <param name="candidates">The candidate lengths, increasing from 0.</param>
    /// <param name="weights">The mixture weights of every layer, one per candidate; null: drawn at random for each layer.</param>
    public MixtureModel(ClipBackbone backbone, int[] candidates, float[]? weights = null)
    {
        LibTorch.EnsureLoaded();
        _scope = NewDisposeScope();
        _generator = Seeds.Generator(12, "mixture model");
        (_text, _image) = (backbone.RentTextTower(CPU), backbone.RentImageTower(CPU));
        Branches = weights is null
            ? RandomMixture.Create(candidates, backbone.Config, _generator)
            : new(Text: Given(backbone.Config.Text), Image: Given(backbone.Config.Image));
        var classes = new LabelClasses(LabelKind.Text, ["red", "green", "blue"], TextDataViewType.Instance, "The test");
        _texts = new ClassTexts(
            ClassTokens.Create(classes, Template, backbone, problem => throw new InvalidOperationException(problem)),
            _text.Value
        );
        _tower = new ImageTower(_image.Value);
        Clip = new PromptedClip(new TextTower(_text.Value), _tower, _texts);

        TrainedPrompts prompts = TrainedPrompts.From(Branches, Clip.Text.UnitFeatures(_texts, Branches.Text), _text.Value.LogitScale);
        StoredDescription description = StoredDescription.From(BackboneReference.To(backbone), Template, prompts.Rows);
        var columns = new ModelColumns(
            "ImagePath",
            "PredictedLabel",
            "Score",
            DplTrainer.ComputeOptions.DefaultPredictionBatchSize,
            classes
        );
        Transformer = new DplTransformer(columns, description, prompts, backbone, CPU);

        MixtureBranch Given(ClipTransformerConfig shape)
        {
            Tensor layers = tensor(weights!).expand(shape.Layers, -1);
            return RandomMixture.Branch(candidates, shape, layers, _generator);
        }
    }

    /// <summary>The branches with the mixture's prompts and weights.</summary>
    public BranchPair<MixtureBranch> Branches { get; }

    /// <summary>The CLIP that the class features are computed with.</summary>
    public PromptedClip Clip { get; }

    /// <summary>The transformer created from them.</summary>
    public DplTransformer Transformer { get; }

    public void Dispose()
    {
        Transformer.Dispose();
        Branches.Text.Dispose();
        Branches.Image.Dispose();
        _tower.Dispose();
        _texts.Dispose();
        _image.Dispose();
        _text.Dispose();
        _generator.Dispose();
        _scope.Dispose();
    }
}
