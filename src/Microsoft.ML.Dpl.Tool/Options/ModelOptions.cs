using System.CommandLine;
using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Which CLIP is used, and on what it runs.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string?> _clip;

    private readonly Option<string> _device = new("--device") { Description = "cpu, cuda or cuda:n. For CUDA, set DPL_LIBTORCH to the folder of a libtorch that has it, such as torch/lib of an installed PyTorch 2.10.", DefaultValueFactory = _ => "cpu" };
    private readonly Option<bool> _fallback = new("--fallback-to-cpu") { Description = "Takes the CPU, with a warning, where the GPU is missing." };
    private readonly Option<int?> _threads = new("--threads") { Description = "Threads on the CPU. Default: one for each core. Results depend on it in their last digits." };

    /// <param name="needsClip">Whether a CLIP must be named; a saved model may find its own.</param>
    public ModelOptions(bool needsClip)
    {
        _clip = new Option<string?>("--clip") { Description = needsClip ? BackboneArgument.Description : $"{BackboneArgument.Description} Default: where the model finds it by itself.", Required = needsClip };
        _clip.CompletionSources.Add(ClipBackbone.TinyName);
        _device.CompletionSources.Add("cpu", "cuda", "cuda:0");
    }

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in new Option[] { _clip, _device, _fallback, _threads }) command.Options.Add(option);
    }

    /// <summary>Opens the CLIP.</summary>
    public ClipBackbone Backbone(ParseResult arguments) => BackboneArgument.Resolve(arguments.GetRequiredValue(_clip)!);

    /// <summary>What a fit runs on.</summary>
    public void Apply(ParseResult arguments, DplTrainer.Options options)
    {
        SetThreads(arguments);
        options.Device = arguments.GetValue(_device);
        options.FallbackToCpu = arguments.GetValue(_fallback);
    }

    /// <summary>What loaded models run on, and their CLIP if it was named.</summary>
    /// <exception cref="ArgumentException">There is no such device.</exception>
    public void Apply(ParseResult arguments, MLContext mlContext)
    {
        SetThreads(arguments);
        mlContext.GpuDeviceId = GpuOf(arguments.GetRequiredValue(_device));
        mlContext.FallbackToCpu = arguments.GetValue(_fallback);
        if (arguments.GetValue(_clip) is not null) mlContext.UseClipBackbone(Backbone(arguments));
    }

    private static int? GpuOf(string device)
    {
        string name = device.Trim().ToLowerInvariant();
        if (name == "cpu") return null;
        if (name == "cuda") return 0;
        return name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal)
            ? ordinal
            : throw new ArgumentException($"--device '{device}' is unknown: use cpu, cuda or cuda:n.");
    }

    private void SetThreads(ParseResult arguments)
    {
        if (arguments.GetValue(_threads) is not int threads) return;
        if (threads < 1) throw new ArgumentException($"--threads must be at least 1; it is {threads}.");
        DplRuntime.Threads = threads;
    }
}
