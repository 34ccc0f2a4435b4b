using System.Globalization;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Optimization;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Warns of fits that are possible but probably not intended.</summary>
/// <param name="settings">Settings of the fit.</param>
/// <param name="log">Receives the warnings.</param>
internal sealed class FitAdvice(FitSettings settings, HostLog log)
{
    // A class with this many times the weight of the median class dominates nearly every batch.
    private const double Dominant = 10;

    // Logit scales that were stored in single precision differ by less.
    private const double Rounding = 1e-6;

    /// <summary>Warns of options that leave an earlier model's temperature unused, before any data is read.</summary>
    public void CheckOptions()
    {
        if (
            settings is { Training.Recipe: TrainingRecipe.Paper, Initial.Temperature: var temperature }
            && Math.Abs(temperature - 1) > Rounding
        )
            log.Warning(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The model to continue from has a temperature of {temperature:g3}, and Training.Recipe = Paper has none: prompts "
                        + $"are trained at CLIP's own logit scale. Set Training.Recipe to Robust to keep the temperature."
                )
            );
    }

    /// <summary>Warns of stages that are too short for their warm-up or their patience.</summary>
    /// <param name="decided">The settings with the steps filled in that depend on the classes.</param>
    /// <param name="images">The images that were read.</param>
    /// <param name="searchesOnly">Whether no training follows.</param>
    public void CheckLengths(FitSettings decided, FitImages images, bool searchesOnly)
    {
        int Batches(int rows) => (rows - 1) / settings.BatchSize + 1;
        int batches = Batches(images.TrainRows.Count);
        if (decided.Search?.Over(batches) is { } search)
            CheckEpochs("Search", search.Epochs, search.Patience, steps: null, batches);
        if (searchesOnly)
            return;
        if (settings is { Refits: true, Search: not null })
            batches = Batches(images.Cache.Count);
        CheckEpochs("Training", decided.Training.Over(batches).Epochs, settings.Training.Patience, settings.Training.Steps, batches);
    }

    /// <summary>Warns of a precision that the device does not support, or that is slow on it.</summary>
    /// <param name="onCpu">Whether the fit runs on the CPU.</param>
    /// <param name="multipliesBFloat16">Whether the CPU has bfloat16 instructions; null: not known.</param>
    public void CheckPrecision(bool onCpu, bool? multipliesBFloat16)
    {
        if (!onCpu)
            return;
        if (settings.Precision == ComputePrecision.TensorFloat32)
            log.Warning(
                "Compute.Precision is TensorFloat32, which only NVIDIA GPUs support: on this CPU, matrix products stay in float32."
            );
        if (settings.Precision == ComputePrecision.BFloat16 && multipliesBFloat16 == false)
            log.Warning(
                "Compute.Precision is BFloat16, but this CPU has neither AMX nor AVX512-BF16: each product is composed of float32 products "
                    + "and takes longer than with Float32."
            );
    }

    /// <summary>Warns of a dominant class and of images that are in both the training and the validation data.</summary>
    /// <param name="images">The images that were read.</param>
    /// <param name="classes">The classes.</param>
    /// <param name="reader">Knows the rows that the images came from.</param>
    public void CheckData(FitImages images, LabelClasses classes, FitImageReader reader)
    {
        CheckClassSizes(images, classes);
        var trained = reader
            .TrainOrigins.Select(origin => origin.Path)
            .Where(path => !string.IsNullOrEmpty(path))
            .ToHashSet(StringComparer.Ordinal);
        ImageOrigin[] shared = [.. reader.ValidationOrigins.Where(origin => trained.Contains(origin.Path))];
        if (shared.Length == 0)
            return;
        string place = reader.Splits ? "Training rows repeat files, so that" : "Training data and validation set share files:";
        log.Warning(
            $"{place} {shared.Length} of {reader.ValidationOrigins.Count} validation images are trained on too (the first: row "
                + $"{shared[0]}). The search and the choice of the best epoch then reward memorised images: put each file on one side only."
        );
    }

    private void CheckEpochs(string stage, int epochs, int? patience, int? steps, int batches)
    {
        if (epochs == 1 && settings.Training.Recipe == TrainingRecipe.Paper)
            log.Warning(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{stage}{(steps is null ? ".Epochs is 1" : $".Steps is {steps}, which is one epoch")}, and the first epoch is a "
                        + $"warm-up at a learning rate of {LearningRateSchedule.WarmUp:g1}: the prompts hardly change. Set it to "
                        + $"{(steps is null ? 2 : 2 * batches)} or more."
                )
            );
        // Stopping early takes one epoch to set the mark, as many as the patience without progress, and at least one left to skip.
        if (patience > epochs - 2)
            log.Warning(
                $"{stage}.Patience is {patience}, which cannot end {epochs} epochs early: lower it, or set "
                    + $"{stage}.{(steps is null ? $"Epochs to {patience + 2}" : $"Steps to {(patience + 2) * batches}")} or more."
            );
    }

    private void CheckClassSizes(FitImages images, LabelClasses classes)
    {
        var weights = new double[classes.Count];
        foreach (int row in images.TrainRows)
            weights[images.Labels[row]] += images.TrainWeights?[row] ?? 1;
        double[] sorted = [.. weights.Where(weight => weight > 0).Order()];
        int largest = Array.IndexOf(weights, sorted[^1]);
        if (sorted[^1] < Dominant * sorted[(sorted.Length - 1) / 2])
            return;
        string share = FormattableString.Invariant($"{weights[largest] / sorted.Sum():p0}");
        log.Warning(
            $"Class '{classes.Names[largest]}' makes up {share} of the training "
                + $"rows{(images.TrainWeights is null ? "" : ", as they are weighted")}, and the other classes' rows hardly count: "
                + "set Training.ClassWeights to Balanced, or give it fewer rows."
        );
    }
}
