using System.Text.Json.Serialization;
using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Training;

/// <summary>What the prompt steps of all stages change in the cross-entropy or add to it; by default nothing.</summary>
internal sealed record ObjectiveSettings
{
    /// <summary>Terms added to the cross-entropy, in this order.</summary>
    [JsonIgnore]
    public IReadOnlyList<IRegularizer> Regularizers { get; init; } = [];

    /// <summary>The regularisers with all their values, serialised for the fingerprint.</summary>
    [JsonPropertyName("Regularizers")]
    public IReadOnlyList<object> RegularizerValues => Regularizers;

    /// <summary>Gradient projection; null: gradients are used unchanged.</summary>
    public ProGradSettings? ProGrad { get; init; }

    /// <summary>Share of each label that is spread over all classes, at least 0 and below 1.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>Whether no teacher is needed.</summary>
    [JsonIgnore]
    public bool IsPlain => Regularizers.Count == 0 && ProGrad is null;

    /// <summary>Whether the teacher for features has to process the images.</summary>
    [JsonIgnore]
    public bool FeaturesCompareImages => Regularizers.Any(regularizer => regularizer is { ComparesFeatures: true, ComparesImages: true });

    /// <summary>Whether any teacher has to process the images.</summary>
    [JsonIgnore]
    public bool ComparesImages => ProGrad is not null || Regularizers.Any(regularizer => regularizer.ComparesImages);
}

/// <summary>
/// ProGrad (Zhu, Niu, Han, Wu, Zhang, ICCV 2023, arXiv 2205.14865): the part of the gradient that conflicts with the teacher's knowledge is
/// removed.
/// </summary>
/// <param name="Weight">The share λ of the conflicting part that is removed, above 0; 1 in the paper.</param>
/// <param name="Temperature">Divisor of both models' logits in the KL divergence, above 0; 1 in the paper.</param>
internal sealed record ProGradSettings(double Weight, double Temperature);

/// <summary>The loss of a prompt step, and the gradient that the step must not oppose.</summary>
/// <param name="settings">Changes and additions to the cross-entropy.</param>
/// <param name="teachers">The teachers; null if the settings need none.</param>
internal sealed class PromptObjective(ObjectiveSettings settings, Teachers? teachers)
{
    /// <summary>One step on a batch.</summary>
    /// <param name="optimizer">The optimizer of the prompts and the temperature.</param>
    /// <param name="pass">The forward pass, which returns CLIP's own logits.</param>
    /// <param name="temperature">Divisor of the logits; null: 1.</param>
    /// <param name="batch">The images and labels of that pass.</param>
    /// <param name="stage">The stage, reported in exceptions, as are epoch and step.</param>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="step">The step within the epoch, from 0.</param>
    /// <param name="maxGradientNorm">Largest norm of the gradient of all updated parameters together, above 0; null: unlimited.</param>
    /// <returns>The cross-entropy before the step, with unsmoothed labels and without the regularisers.</returns>
    /// <exception cref="NonFiniteValueException">The loss or a gradient is infinite or NaN; no parameter was changed.</exception>
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

    /// <summary>The outputs of a teacher at the temperature of the student, since a teacher has none of its own.</summary>
    private ClipOutputs Taught(Teacher teacher, Temperature? temperature, ImageBatch batch)
    {
        using var noGrad = no_grad();
        bool seesImages = ReferenceEquals(teacher, teachers!.ForLogits) ? settings.ComparesImages : settings.FeaturesCompareImages;
        ClipOutputs taught = teacher.Outputs(batch, seesImages);
        return temperature is null || !seesImages ? taught : taught with { Logits = temperature.Cool(taught.Logits) };
    }
}
