using System.CommandLine;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The options for the CLIP to use and the device it runs on.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string?> _clip;

    private readonly Option<string> _device = new("--device")
    {
        Description =
            "cpu, cuda or cuda:n. For CUDA, set DPL_LIBTORCH to the folder of a libtorch that has it, such as torch/lib of an "
            + "installed PyTorch 2.10.",
        HelpName = "device",
        DefaultValueFactory = _ => "cpu",
    };
    private readonly Option<bool> _fallback = new("--fallback-to-cpu")
    {
        Description = "Uses the CPU, with a warning, where the GPU is missing.",
    };
    private readonly Option<int?> _threads = new("--threads")
    {
        Description = "Threads on the CPU. Default: one for each core. The last digits of results depend on it.",
        HelpName = "number",
    };

    /// <param name="needsClip">Whether a CLIP must be given; a saved model may find its own.</param>
    public ModelOptions(bool needsClip)
    {
        _clip = new Option<string?>("--clip")
        {
            Description = needsClip
                ? BackboneArgument.Description
                : $"{BackboneArgument.Description} Default: where the model finds it by itself.",
            HelpName = "CLIP",
            Required = needsClip,
        };
        _clip.CompletionSources.Add(BackboneArgument.Names);
        _device.CompletionSources.Add("cpu", "cuda", "cuda:0");
    }

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in new Option[] { _clip, _device, _fallback, _threads })
            command.Options.Add(option);
    }

    /// <summary>Whether a CLIP was given.</summary>
    public bool IsNamed(ParseResult arguments) => arguments.GetValue(_clip) is not null;

    /// <summary>The name of a given option that only libtorch supports; null if there is none.</summary>
    public string? NeedsLibTorch(ParseResult arguments) =>
        IsNamed(arguments) ? _clip.Name
        : GpuOf(arguments.GetRequiredValue(_device)) is not null ? _device.Name
        : null;

    /// <summary>Number of threads on the CPU; null: one for each core.</summary>
    /// <exception cref="ArgumentException">The number of threads is below 1.</exception>
    public int? ReadThreads(ParseResult arguments) =>
        arguments.GetValue(_threads) is int threads && threads < 1
            ? throw new ArgumentException($"--threads must be at least 1; it is {threads}.")
            : arguments.GetValue(_threads);

    /// <summary>Opens the CLIP that was given.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="cancellationToken">Cancels a download.</param>
    public ClipBackbone Backbone(ParseResult arguments, CancellationToken cancellationToken) =>
        BackboneArgument.Resolve(arguments.GetRequiredValue(_clip)!, cancellationToken: cancellationToken);

    /// <summary>Sets the number of threads, and checks that the device is available before anything is read or downloaded.</summary>
    /// <exception cref="ArgumentException">The number of threads is below 1, or the name of the device is unknown.</exception>
    /// <exception cref="MissingDeviceException">The GPU cannot be used, and falling back to the CPU was not requested.</exception>
    public void Check(ParseResult arguments)
    {
        if (ReadThreads(arguments) is int threads)
            LibTorchRuntime.Threads = threads;
        string device = arguments.GetRequiredValue(_device);
        if (!arguments.GetValue(_fallback))
            RequireDevice(device, $"--device {device}", "Or use the CPU, without --device or with --fallback-to-cpu.");
    }

    /// <summary>Checks that a device is available before anything is read or downloaded.</summary>
    /// <param name="device">cpu, cuda or cuda:n.</param>
    /// <param name="named">How the user specified it, for messages.</param>
    /// <param name="otherwise">How to use the CPU instead, for messages.</param>
    /// <exception cref="ArgumentException">The name of the device is unknown.</exception>
    /// <exception cref="MissingDeviceException">The GPU cannot be used.</exception>
    public static void RequireDevice(string device, string named, string otherwise)
    {
        if (GpuOf(device) is not int ordinal)
            return;
        if (!LibTorchRuntime.HasCuda)
            throw new MissingDeviceException(
                $"{named}: there is no usable GPU here, because the libtorch in use has no CUDA, or there is no NVIDIA card "
                    + "with its driver. Set DPL_LIBTORCH to the folder of a libtorch with CUDA, such as torch/lib of an installed "
                    + $"PyTorch 2.10. {otherwise}"
            );
        int count = torch.cuda.device_count();
        if (ordinal >= count)
            throw new MissingDeviceException(
                $"{named}: there "
                    + $"{(count == 1 ? "is only one GPU, cuda:0" : $"are only {count} GPUs, cuda:0 to cuda:{count - 1}")}. {otherwise}"
            );
    }

    /// <summary>Sets the device of a fit.</summary>
    public void Apply(ParseResult arguments, DplTrainer.Options options)
    {
        options.Compute.Device = arguments.GetValue(_device);
        options.Compute.FallbackToCpu = arguments.GetValue(_fallback);
    }

    /// <summary>Sets the device of loaded models, and registers the CLIP if one was given.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="mlContext">The context that the models are loaded with.</param>
    /// <param name="cancellationToken">Cancels a download.</param>
    /// <exception cref="ArgumentException">The number of threads is below 1, or the name of the device is unknown.</exception>
    /// <exception cref="MissingDeviceException">The GPU cannot be used.</exception>
    public void Apply(ParseResult arguments, MLContext mlContext, CancellationToken cancellationToken)
    {
        Check(arguments);
        ApplyDevice(arguments, mlContext);
        if (arguments.GetValue(_clip) is not null)
            Backbone(arguments, cancellationToken).Register();
    }

    /// <summary>Sets the device of transforms.</summary>
    public void ApplyDevice(ParseResult arguments, MLContext mlContext)
    {
        mlContext.GpuDeviceId = GpuOf(arguments.GetRequiredValue(_device));
        mlContext.FallbackToCpu = arguments.GetValue(_fallback);
    }

    private static int? GpuOf(string device) =>
        DeviceName.TryParse(device, unnumbered: 0, out int? ordinal)
            ? ordinal
            : throw new ArgumentException($"--device '{device}' is unknown: use {DeviceName.Choices}.");
}
