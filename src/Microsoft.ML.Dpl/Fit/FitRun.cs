using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>The result of a fit. Owns the prompts unless they were released.</summary>
/// <param name="Classes">The classes, in the order of the scores.</param>
/// <param name="Description">The description of the model that its zip stores.</param>
/// <param name="Prompts">The learned prompts.</param>
/// <param name="Image">A lease that keeps the image tower in memory until the model has its own, so that CLIP's files are not needed
/// again.</param>
internal sealed record FitResult(LabelClasses Classes, StoredDescription Description, TrainedPrompts Prompts, Lease<ImageWeights> Image)
    : IDisposable
{
    private bool _released;

    /// <summary>Leaves the prompts to a new owner.</summary>
    public void ReleasePrompts() => _released = true;

    public void Dispose()
    {
        Image.Dispose();
        if (!_released)
            Prompts.Dispose();
    }
}

/// <summary>One fit: reads images, searches unless the lengths are given, trains, and returns prompts.</summary>
/// <param name="backbone">The frozen CLIP.</param>
/// <param name="settings">Settings of the fit.</param>
/// <param name="data">The training and validation rows.</param>
/// <param name="device">The device to compute on.</param>
/// <param name="observer">Notified after every step; may cancel.</param>
/// <param name="log">Receives counts, advice and the progress of the stages.</param>
internal sealed class FitRun(ClipBackbone backbone, FitSettings settings, FitData data, Device device, IRunObserver observer, HostLog log)
{
    private readonly LossWatch _watch = new(observer, settings, log);

    /// <returns>The result; owned by the caller.</returns>
    /// <exception cref="InvalidOperationException">The data cannot be trained on.</exception>
    /// <exception cref="InvalidDataException">CLIP's weights contain infinite or NaN values.</exception>
    /// <exception cref="DivergedException">A loss or a gradient became infinite or NaN, and the settings do not ask for the best result so
    /// far or there is none.</exception>
    /// <exception cref="OperationCanceledException">The observer cancelled the run, and the settings do not ask for the best result so far
    /// or there is none.</exception>
    public FitResult Fit()
    {
        using PreparedFit fit = PreparedFit.Create(backbone, settings, data, device, observer, log, searchesOnly: false);
        try
        {
            FitCheckpoints? checkpoints = fit.Checkpoints;
            using SearchStageResult? searched = fit.Settings.Search is { } search
                ? checkpoints?.FoundSearch(device, fit.ContextLayout, settings.ResidualScale)
                    ?? new SearchStage(fit, _watch).Run(search, checkpoints?.ForSearch())
                : null;
            using TrainingStageResult trained = searched is { End: not StageEnd.Whole }
                ? searched.AsTrained(searched.End)
                : Train(fit, searched);
            FitResult result = ResultOf(fit, searched, trained);
            Finish(checkpoints, trained.End);
            return result;
        }
        catch (NonFiniteValueException e)
        {
            throw new DivergedException(fit.Analysis.Explain(e, returns: false), e);
        }
    }

    /// <summary>Compares the searched configuration to uniform lengths if the settings ask for it, and trains the best one.</summary>
    private TrainingStageResult Train(PreparedFit fit, SearchStageResult? searched)
    {
        IReadOnlyList<Finalist> finalists = [];
        try
        {
            if (fit.Settings.Comparison is { } comparison)
                finalists = new ComparisonStage(fit, _watch).Run(Contenders(comparison, searched), searched, fit.Checkpoints);
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled && searched is not null)
        {
            log.Warning("The comparison was cancelled: the prompts that the search trained for its choice are returned.");
            return searched.AsTrained(StageEnd.Cancelled);
        }
        catch (NonFiniteValueException e) when (settings.ReturnBestWhenDiverged && searched is not null)
        {
            log.Warning(
                $"{fit.Analysis.Explain(e, returns: true).Message} The prompts that the search trained for its choice are returned."
            );
            return searched.AsTrained(StageEnd.Diverged);
        }
        return new TrainingStage(fit, _watch).Run(searched, finalists, fit.Checkpoints?.ForTraining(searched, finalists));
    }

    private Contender[] Contenders(ComparisonSettings comparison, SearchStageResult? searched) =>
        [
            .. (searched is null ? [] : new[] { searched.AsContender() })
                .Concat(comparison.UniformLengths.Select(length => new Contender(PromptConfiguration.Uniform(backbone, length))))
                .Where(contender => contender.IsMixture || !contender.Configuration.IsZeroShot || settings.LearnsBesidePrompts)
                .Distinct(),
        ];

    /// <summary>Runs only the search, which the settings must contain.</summary>
    /// <returns>The report, and how the search ended.</returns>
    /// <inheritdoc cref="Fit" path="/exception"/>
    public (SearchReport Report, StageEnd End) Search()
    {
        using PreparedFit fit = PreparedFit.Create(backbone, settings, data, device, observer, log, searchesOnly: true);
        try
        {
            using SearchStageResult searched = new SearchStage(fit, _watch).Run(fit.Settings.Search!, fit.Checkpoints?.ForSearch());
            Finish(fit.Checkpoints, searched.End);
            return (searched.Report, searched.End);
        }
        catch (NonFiniteValueException e)
        {
            throw new DivergedException(fit.Analysis.Explain(e, returns: false), e);
        }
    }

    /// <summary>Removes the checkpoints unless the fit was cancelled and can be resumed; one that diverged would diverge again.</summary>
    private static void Finish(FitCheckpoints? checkpoints, StageEnd end)
    {
        if (end != StageEnd.Cancelled)
            checkpoints?.Finish();
    }

    private FitResult ResultOf(PreparedFit fit, SearchStageResult? searched, TrainingStageResult trained)
    {
        using var scope = NewDisposeScope();
        PromptSet learned = trained.Prompts;
        PromptRows rows = learned.ToRows();
        // Computed as WithClasses does, so that the same names give the same bits there.
        Tensor classFeatures =
            rows.HasPlainText && fit.Clip.PlainFeatures is { } plain
                ? plain()
                : rows.ClassFeatures(new TextTower(fit.Clip.Text.Weights), fit.Tokens, device);
        classFeatures = TaskResidual.Add(classFeatures, rows.ClassOffsets?.to(device));
        double temperature = settings.Calibrates ? Calibrated(fit, trained) : trained.Temperature;
        var prompts = new TrainedPrompts(rows, PromptRows.Copied(classFeatures)!, fit.Clip.Text.Weights.LogitScale / temperature);
        var description = new StoredDescription(
            fit.Reference,
            settings.Template,
            rows.Configuration.Text,
            rows.Configuration.Image,
            trained.ValidationAccuracy,
            searched?.Report,
            WasCancelled: trained.End == StageEnd.Cancelled,
            HasDiverged: trained.End == StageEnd.Diverged
        )
        {
            Finalists = trained.Finalists is { Count: > 0 } finalists ? finalists : null,
            Mixture = rows.Mixture is { } mixture ? new MixtureDescription(mixture.CandidateLengths) : null,
            Context = learned.Context is null ? null : fit.Context,
            Templates = rows.HasPlainText ? settings.Design?.Templates : null,
            Design = learned.IsEmpty ? null : DesignOf(settings),
        };
        return new FitResult(fit.Classes, description, prompts, backbone.RentImageTower(device));
    }

    /// <summary>The temperature fitted to the validation images; that of training if the fit was cut short.</summary>
    private double Calibrated(PreparedFit fit, TrainingStageResult trained)
    {
        if (trained.End != StageEnd.Whole || fit.Validation is not { } validation)
        {
            log.Warning("The probabilities are not calibrated, since the fit was cut short.");
            return trained.Temperature;
        }
        IBatchSource images = validation.InOrder(settings.PredictionBatchSize, device);
        Calibration calibration;
        try
        {
            calibration = Calibration.Fit(fit.Clip, trained.Prompts.Passes, images, trained.Temperature, observer);
        }
        catch (OperationCanceledException) when (settings.ReturnBestWhenCancelled)
        {
            log.Warning("The calibration was cancelled: the model is fully trained, but its probabilities are not calibrated.");
            return trained.Temperature;
        }
        log.Info(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Calibration: with a temperature of {calibration.Temperature:g3} instead of {trained.Temperature:g3} the validation "
                    + $"images' mean cross-entropy is {calibration.LossAfter:g3} instead of {calibration.LossBefore:g3}."
            )
        );
        return calibration.Temperature;
    }

    /// <summary>The design of the prompts; null for the plain method.</summary>
    private static PromptDesign? DesignOf(FitSettings settings)
    {
        ObjectiveSettings beside = settings.Training.Beside;
        DesignSettings design = settings.Design ?? new DesignSettings();
        if (settings.Design is null && beside.IsPlain && settings.Training.Average is null)
            return null;
        return new PromptDesign
        {
            Prompts = design.Prompts.Name,
            TaskResidual = design.TaskResidual,
            Regularizers = [.. beside.Regularizers.Select(regularizer => $"{regularizer.Name} {regularizer.Numbers}")],
            ProGrad = beside.ProGrad is { } proGrad
                ? string.Create(CultureInfo.InvariantCulture, $"{proGrad.Weight} {proGrad.Temperature}")
                : null,
            Average = settings.Training.Average?.ToString(),
            Teacher = design.Teacher?.Name,
            TeacherTemplates = beside.IsPlain ? null : design.Templates,
        };
    }
}
