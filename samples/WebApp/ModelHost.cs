using Microsoft.Extensions.Options;
using Microsoft.ML.Dpl;

namespace WebApp;

/// <summary>Loads or trains the model while the server already answers requests, and owns it.</summary>
internal sealed class ModelHost(IOptions<ClassifierOptions> options, IHostApplicationLifetime lifetime, ILogger<ModelHost> log)
    : BackgroundService,
        IProgress<FitProgress>
{
    private volatile ServedModel? _model;
    private volatile FitProgress? _progress;

    /// <summary>The model; null until it is ready.</summary>
    public ServedModel? Model => _model;

    /// <summary>Completed fraction of the demo model's training, 0 to 1; null if nothing is trained.</summary>
    public double? Progress => _progress?.Fraction;

    /// <summary>The folder of example images; null if a model was given.</summary>
    public string? ExamplesFolder { get; } = options.Value.Model is null ? DemoModel.ExamplesFolder(DemoFolder(options.Value)) : null;

    void IProgress<FitProgress>.Report(FitProgress value) => _progress = value;

    public override void Dispose()
    {
        base.Dispose();
        _model?.Dispose();
    }

    /// <summary>Loads the given model, if any, before the server listens, so that an invalid one is reported at once.</summary>
    /// <exception cref="InvalidDataException">The model cannot be served; the message says why.</exception>
    public void LoadGiven()
    {
        if (options.Value.Model is { } zip)
            Serve(ServedModel.Load(zip, options.Value.Clip));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_model is not null)
            return;
        string folder = DemoFolder(options.Value);
        log.LogInformation(
            "No --model was given: a small one ({Demo}) is loaded from {Folder}, and made there first if it is missing.",
            options.Value.Demo,
            folder
        );
        try
        {
            // Training blocks a thread, so run it in the background while the server answers requests.
            Serve(await Task.Run(() => DemoModel.LoadOrMake(options.Value.Demo, folder, this, stoppingToken), stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            log.LogInformation("Stopped before the model was ready.");
        }
        catch (Exception e)
            when (e
                    is InvalidDataException
                        or IOException
                        or UnauthorizedAccessException
                        or InvalidOperationException
                        or DllNotFoundException
            )
        {
            log.LogCritical(
                "The small model cannot be made in {Folder}: {Message} Set Classifier:DemoFolder to another folder, or give a --model.",
                folder,
                e.Message
            );
            Environment.ExitCode = 1;
            lifetime.ApplicationStarted.Register(lifetime.StopApplication);
        }
    }

    private void Serve(ServedModel model)
    {
        _model = model;
        log.LogInformation("Serving {Model}: {Count} classes.", model.Name, model.ClassNames.Count);
    }

    // A separate folder per demo, so that one demo does not load another's model.
    private static string DemoFolder(ClassifierOptions options) =>
        Path.GetFullPath(Path.Combine(options.DemoFolder ?? Path.Combine(AppContext.BaseDirectory, "demo"), options.Demo));
}
