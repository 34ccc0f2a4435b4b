using Microsoft.Extensions.Options;
using Microsoft.ML.Dpl;

namespace WebApp;

/// <summary>Gets the model ready while the server already answers, and holds it.</summary>
internal sealed class ModelHost(IOptions<ClassifierOptions> options, IHostApplicationLifetime lifetime, ILogger<ModelHost> log) : BackgroundService, IProgress<DplProgress>
{
    private volatile ServedModel? _model;
    private volatile DplProgress? _progress;

    /// <summary>Null until it is ready.</summary>
    public ServedModel? Model => _model;

    /// <summary>How much of the small model's training is done, 0 to 1; null where nothing is trained.</summary>
    public double? Progress => _progress?.Fraction;

    /// <summary>Where example pictures lie; null where a model was given.</summary>
    public string? ExamplesFolder { get; } = options.Value.Model is null ? DemoModel.ExamplesFolder(DemoFolder(options.Value)) : null;

    void IProgress<DplProgress>.Report(DplProgress value) => _progress = value;

    public override void Dispose()
    {
        base.Dispose();
        _model?.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            // Loading and training keep a thread busy; the server starts meanwhile.
            _model = await Task.Run(() => Load(stoppingToken), stoppingToken);
            log.LogInformation("Serving {Model}: {Count} classes.", _model.Name, _model.ClassNames.Count);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            log.LogInformation("Stopped before the model was ready.");
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException or InvalidOperationException or ArgumentException or DllNotFoundException)
        {
            // Wrong input is the user's to mend: one line, no stack trace.
            log.LogCritical("{Message}", e.Message);
            Environment.ExitCode = 1;
            lifetime.StopApplication();
        }
    }

    private ServedModel Load(CancellationToken stopping)
    {
        if (options.Value.Model is { } zip) return ServedModel.Load(zip, options.Value.Clip);
        string folder = DemoFolder(options.Value);
        log.LogInformation("No --model was given: a small model of drawn pictures is loaded from {Folder}, or made there first.", folder);
        return DemoModel.LoadOrMake(folder, this, stopping);
    }

    private static string DemoFolder(ClassifierOptions options) => Path.GetFullPath(options.DemoFolder ?? Path.Combine(AppContext.BaseDirectory, "demo"));
}
