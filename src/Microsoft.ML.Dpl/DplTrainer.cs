using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl;

/// <summary>
/// Differentiable Prompt Learning (Huang, Pedapati, Chen, Gao, IJCAI 2025, arXiv 2501.00457): CLIP stays frozen, prompt rows enter the keys
/// and values of its layers, a bilevel search finds how many rows each layer of each branch uses, and a second stage trains only those.
/// </summary>
/// <remarks>
/// <para>To create it, use
/// <see cref="DplCatalog.DifferentiablePromptLearning(MulticlassClassificationCatalog.MulticlassClassificationTrainers, Options)"/>.</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type</description></listheader>
/// <item><term>Label (input)</term><description>A key with names, or text. The class order is that of the key values; text is ordered by
/// code point</description></item>
/// <item><term>Image (input)</term><description><c>MLImage</c>, path as text, or the bytes of an encoded file</description></item>
/// <item><term>Weight (optional input)</term><description><c>float</c>, at least 0: the weight of the row's loss</description></item>
/// <item><term>PredictedLabel (output)</term><description>A key with the label's key values, or text</description></item>
/// <item><term>Score (output)</term><description>Vector of <c>float</c>: the classes' probabilities</description></item>
/// </list>
/// </remarks>
public sealed partial class DplTrainer : IEstimator<DplTransformer>
{
    private readonly IHostEnvironment _environment;
    private readonly Options _options;

    internal DplTrainer(IHostEnvironment environment, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        (_environment, _options) = (environment, options);
    }

    /// <summary>Searches the prompt lengths (unless a configuration is given) and trains the prompts.</summary>
    /// <param name="input">One labelled image per row. Every image is decoded before training begins, so that an unreadable image is
    /// reported early.</param>
    /// <returns>The classifier. The caller disposes it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of an unsuitable type.</exception>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="InvalidOperationException">An image cannot be read, there are fewer than two classes, a class has too few rows, a
    /// weight is negative or not finite, all weights are 0, two class names give the same tokens, or the workspace contains the checkpoint
    /// of a different fit.</exception>
    /// <exception cref="DivergedException">The loss or a gradient became infinite or NaN, and <see cref="Options.OnDivergence"/> is set to
    /// throw or there is no model to return.</exception>
    /// <exception cref="InvalidDataException">CLIP's weights are not all finite; the message names the tensor.</exception>
    /// <exception cref="IOException"><see cref="ComputeOptions.WorkspacePath"/> cannot be written, or another fit uses it.</exception>
    /// <exception cref="InvalidDataException">The workspace contains checkpoints, but none of them can be read.</exception>
    /// <exception cref="OperationCanceledException">The options' token or the <c>MLContext</c> was cancelled, and
    /// <see cref="Options.OnCancel"/> is set to throw or no epoch was complete.</exception>
    public DplTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _options.Validate();
        return Fit(input, initial: (InitialPrompts?)null);
    }

    private DplTransformer Fit(IDataView input, InitialPrompts? initial)
    {
        using var log = new HostLog(_environment, nameof(DplTrainer), "Fit");
        FitData data = FindColumns(input);
        TorchSharp.torch.Device device = ChooseDevice(log);
        using IDisposable memory = NativeAllocator.ForFit(_options.Compute.TuneAllocator);
        // A CLIP from a model zip lives only as long as a model that uses it, and nobody may keep that model during the fit.
        using IDisposable? clip = _options.Backbone!.Hold(),
            teacher = _options.Design.Teacher?.Hold();
        using FitResult result = WithinMemory(() => CreateRun(data, device, log, initial).Fit());
        var columns = new ModelColumns(
            _options.ImageColumnName,
            _options.PredictedLabelColumnName,
            _options.ScoreColumnName,
            _options.Compute.PredictionBatchSize,
            result.Classes
        );
        StoredDescription description = result.Description.With(_options.Reading);
        var transformer = new DplTransformer(columns, description, result.Prompts, _options.Backbone!, device)
        {
            Contents = _options.ModelContents,
            OnnxPrecision = _options.OnnxPrecision,
        };
        result.ReleasePrompts();
        return transformer;
    }

    /// <summary>Searches the prompt lengths without training: the first stage of <see cref="Fit(IDataView)"/>, with the same images set
    /// aside for validation and the same steps.</summary>
    /// <param name="input">Training data as for <see cref="Fit(IDataView)"/>.</param>
    /// <returns>
    /// The lengths. With <see cref="Options.OnCancel"/> set to return the best, a cancelled search returns the choice after its last
    /// complete epoch, if there is one. A workspace keeps checkpoints of an interrupted search as for a fit, but neither resumes from the
    /// other's checkpoint.
    /// </returns>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    /// <exception cref="ArgumentException">An option is out of range, or <see cref="Options.Configuration"/> is given.</exception>
    public SearchOutcome Search(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _options.Validate();
        if (_options.Configuration is not null)
            throw new ArgumentException(
                $"{nameof(Options.Configuration)} is given, so there is nothing to search: leave it out, or call {nameof(Fit)}.",
                nameof(Options.Configuration)
            );
        using var log = new HostLog(_environment, nameof(DplTrainer), "Search");
        FitData data = FindColumns(input);
        TorchSharp.torch.Device device = ChooseDevice(log);
        using IDisposable memory = NativeAllocator.ForFit(_options.Compute.TuneAllocator);
        (SearchReport report, StageEnd end) = WithinMemory(() => CreateRun(data, device, log).Search());
        return new SearchOutcome(report, end == StageEnd.Cancelled, end == StageEnd.Diverged);
    }

    private T WithinMemory<T>(Func<T> run)
    {
        try
        {
            return run();
        }
        catch (Exception e) when (MemoryShortage.IsUntold(e))
        {
            int batch = _options.Training.BatchSize ?? TrainingOptions.DefaultBatchSize(_options.Training.Recipe);
            throw MemoryShortage.For(
                e,
                $"a fit in steps of {batch} images",
                $"Lower Training.BatchSize ({batch}); the longest of Search.CandidateLengths, the number of classes and "
                    + $"Images.CacheMegabytes ({_options.Images.CacheMegabytes}) count, too."
            );
        }
    }

    /// <summary>By default there is no fallback for an explicitly named device; the context's setting applies only to the context's
    /// GPU.</summary>
    private TorchSharp.torch.Device ChooseDevice(HostLog log)
    {
        EnvironmentOptions environment = MLNetInternals.OptionsOf(_environment);
        bool fallback = _options.Compute.FallbackToCpu ?? (string.IsNullOrWhiteSpace(_options.Compute.Device) && environment.FallbackToCpu);
        return ComputeDevice.Choose(_options.Compute.Device, environment.GpuDeviceId, fallback, log.Info, log.Warning, "Compute.Device");
    }

    private FitData FindColumns(IDataView input) =>
        new(
            Labelled(input, WeightColumn.Find),
            _options.Validation.Set is { } validation ? Labelled(validation, WeightColumn.FindIfPresent) : null,
            _options.Images.SkipUnreadable
        );

    private FitRun CreateRun(FitData data, TorchSharp.torch.Device device, HostLog log, InitialPrompts? initial = null)
    {
        FitSettings settings = _options.ToSettings(_options.Seed ?? MLNetInternals.OptionsOf(_environment).Seed ?? 0);
        if (initial is not null)
            settings = settings.GoingOnFrom(
                initial,
                splits: _options.Validation is not { RowsPerClass: null, Fraction: null },
                asksForResidual: _options.Design.TaskResidual > 0
            );
        var monitor = new FitMonitor(log, _options.Progress, _options.CancellationToken);
        return new FitRun(_options.Backbone!, settings, data, device, monitor, log);
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ImageColumn.Check(inputSchema, _options.ImageColumnName);
        if (_options.ExampleWeightColumnName is { } weight)
            WeightColumn.Check(inputSchema, weight);
        return ScoreSchema.Promise(inputSchema, _options.LabelColumnName, _options.PredictedLabelColumnName, _options.ScoreColumnName);
    }

    private LabelledData Labelled(IDataView data, Func<DataViewSchema, string, WeightColumn?> findWeight) =>
        new(
            data,
            ImageColumn.Find(data.Schema, _options.ImageColumnName, _options.Reading),
            LabelColumn.Find(data.Schema, _options.LabelColumnName),
            _options.ExampleWeightColumnName is { } weight ? findWeight(data.Schema, weight) : null
        );
}
