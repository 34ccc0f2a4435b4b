using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>What is done to the cross-entropy and beside it in the prompt steps of all stages; the default is nothing.</summary>
internal sealed record ObjectiveSettings
{
    /// <summary>Added to the cross-entropy, in this order.</summary>
    [JsonIgnore]
    public IReadOnlyList<IRegularizer> Regularizers { get; init; } = [];

    /// <summary>The same with all their values, for the fingerprint.</summary>
    [JsonPropertyName("Regularizers")]
    public IReadOnlyList<object> RegularizerValues => Regularizers;

    /// <summary>Null: gradients are taken as they are.</summary>
    public ProGradSettings? ProGrad { get; init; }

    /// <summary>The part of a label that is spread over all classes, 0 to below 1.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Whether nothing is compared to a teacher.</summary>
    [JsonIgnore]
    public bool IsPlain => Regularizers.Count == 0 && ProGrad is null;

    /// <summary>Whether the teacher of features must see the images.</summary>
    [JsonIgnore]
    public bool FeaturesCompareImages => Regularizers.Any(regularizer => regularizer is { ComparesFeatures: true, ComparesImages: true });

    /// <summary>Whether a teacher must see the images.</summary>
    [JsonIgnore]
    public bool ComparesImages => ProGrad is not null || Regularizers.Any(regularizer => regularizer.ComparesImages);
}

/// <summary>ProGrad (Zhu, Niu, Han, Wu, Zhang, ICCV 2023, arXiv 2205.14865): where a step would go against what the teacher knows, that
/// part of the gradient is taken out.</summary>
/// <param name="Weight">The share λ of the conflicting part that is taken out, above 0; 1 in the paper.</param>
/// <param name="Temperature">What both logits are divided by in the KL divergence, above 0; 1 in the paper.</param>
internal sealed record ProGradSettings(double Weight, double Temperature);

/// <summary>The loss of a prompt step, and the gradient that it must not go against.</summary>
/// <param name="settings">What is done beside the cross-entropy.</param>
/// <param name="teachers">Null where nothing is.</param>
internal sealed class PromptObjective(ObjectiveSettings settings, Teachers? teachers)
{
    /// <summary>One step on a batch.</summary>
    /// <param name="optimizer">The prompts' optimizer, the temperature's beside it.</param>
    /// <param name="pass">The forward pass, whose logits are CLIP's own.</param>
    /// <param name="temperature">Divides the logits; null: 1.</param>
    /// <param name="batch">The images and labels of that pass.</param>
    /// <param name="stage">The stage, for the exception; epoch and step are for it too.</param>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="step">The step within the epoch, from 0.</param>
    /// <param name="maxGradientNorm">Longest gradient of all stepped parameters together, above 0; null: any.</param>
    /// <returns>The cross-entropy to the labels as they are before the step, without the regularisers.</returns>
    /// <exception cref="NonFiniteValueException">The loss or a gradient is infinite or not a number; nothing was stepped.</exception>
    public double Step(
        PromptOptimizer optimizer,
        Func<BackwardTensors, ClipOutputs> pass,
        Temperature? temperature,
        ImageBatch batch,
        FitStage stage,
        int epoch,
        int step,
        double? maxGradientNorm
    )
    {
        ClipOutputs Cooled(ClipOutputs outputs) =>
            temperature is null ? outputs : outputs with { Logits = temperature.Cool(outputs.Logits) };
        ProGradient? proGradient = settings.ProGrad is { } proGrad
            ? new ProGradient(proGrad.Weight, optimizer.Prompts, backward =>
                Losses
                    .Distillation(
                        Taught(teachers!.ForLogits, temperature, batch).Logits.Over(proGrad.Temperature),
                        Cooled(pass(backward)).Logits.Over(proGrad.Temperature),
                        batch.Weights
                    )
                    .Times(proGrad.Temperature * proGrad.Temperature)
            )
            : null;
        return OptimizerStep.Take(
            optimizer.Optimizer,
            backward =>
            {
                ClipOutputs outputs = Cooled(pass(backward));
                Tensor crossEntropy = Losses.CrossEntropy(outputs.Logits, batch.Labels, batch.Weights),
                    loss = settings.LabelSmoothing is > 0 and var smoothing
                        ? Losses.SmoothedCrossEntropy(outputs.Logits, batch.Labels, smoothing, batch.Weights)
                        : crossEntropy;
                ClipOutputs? ofFeatures = null,
                    ofLogits = null;
                foreach (IRegularizer regularizer in settings.Regularizers)
                {
                    ClipOutputs taught = regularizer.ComparesFeatures
                        ? ofFeatures ??= Taught(teachers!.ForFeatures, temperature, batch)
                        : ofLogits ??= Taught(teachers!.ForLogits, temperature, batch);
                    loss = loss.Plus(regularizer.Loss(outputs, taught, batch.Weights));
                }
                return new StepLoss(loss, crossEntropy);
            },
            stage,
            epoch,
            step,
            batch,
            maxGradientNorm: maxGradientNorm,
            proGradient: proGradient
        );
    }

    /// <summary>The teacher sets no temperature: it is compared at the student's.</summary>
    private ClipOutputs Taught(Teacher teacher, Temperature? temperature, ImageBatch batch)
    {
        using var noGrad = no_grad();
        bool seesImages = ReferenceEquals(teacher, teachers!.ForLogits) ? settings.ComparesImages : settings.FeaturesCompareImages;
        ClipOutputs taught = teacher.Outputs(batch, seesImages);
        return temperature is null || !seesImages ? taught : taught with { Logits = temperature.Cool(taught.Logits) };
    }
}
