using System.Reflection;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What the run was asked to do.</summary>
/// <param name="Task">A short name for the heading, such as the name of the data's folder or file.</param>
/// <param name="CommandLine">One shell command that repeats the run, quoted as needed: every option that is not at its default, and always
/// the seed.</param>
/// <param name="WorkingFolder">The folder in which to run <paramref name="CommandLine"/>; null if its paths are absolute.</param>
/// <param name="Options">All options by name, as text, including defaults; in display order.</param>
/// <param name="Seed">The seed; null if none was given.</param>
/// <param name="Started">When the run began.</param>
internal sealed record AskedResults(
    string Task,
    string CommandLine,
    string? WorkingFolder,
    IReadOnlyList<NamedValue> Options,
    int? Seed,
    DateTimeOffset Started
);

/// <summary>An option and its value.</summary>
/// <param name="Name">The option's name on the command line, or the property's name.</param>
/// <param name="Value">The value as text.</param>
internal sealed record NamedValue(string Name, string Value);

/// <summary>The software and hardware of a run.</summary>
/// <param name="Library">Version of Microsoft.ML.Dpl.</param>
/// <param name="MLNet">Version of Microsoft.ML.</param>
/// <param name="TorchSharp">Version of TorchSharp.</param>
/// <param name="LibTorch">Version of libtorch, or the sentence that describes it.</param>
/// <param name="DotNet">Version of the runtime.</param>
/// <param name="OperatingSystem">Name and version.</param>
/// <param name="Processor">Model name, or the architecture if that is not known.</param>
/// <param name="Processors">Logical processors that the process may use.</param>
/// <param name="Threads">Number of libtorch's threads.</param>
/// <param name="Device">cpu, cuda:0, …</param>
internal sealed record VersionResults(
    string Library,
    string MLNet,
    string TorchSharp,
    string LibTorch,
    string DotNet,
    string OperatingSystem,
    string Processor,
    int Processors,
    int Threads,
    string Device
)
{
    /// <summary>The version of the assembly that a type is in, with its commit if the build knew it.</summary>
    public static string From(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? type.Assembly.GetName().Version?.ToString()
        ?? "";
}

/// <summary>The frozen CLIP.</summary>
/// <param name="Name">Folder or file name.</param>
/// <param name="Sha256">SHA-256 of the weights, in lower-case hexadecimal.</param>
/// <param name="Location">Path of the folder or file; null if it has none of its own.</param>
/// <param name="ImageSize">Side of the square input in pixels.</param>
/// <param name="PatchSize">Side of a patch in pixels.</param>
/// <param name="EmbeddingWidth">Width of the space that images and texts share.</param>
/// <param name="Text">Shape of the text tower.</param>
/// <param name="Image">Shape of the image tower.</param>
internal sealed record BackboneResults(
    string Name,
    string Sha256,
    string? Location,
    int ImageSize,
    int PatchSize,
    int EmbeddingWidth,
    BranchShape Text,
    BranchShape Image
)
{
    /// <summary>Describes an open CLIP.</summary>
    public static BackboneResults From(ClipBackbone backbone)
    {
        ArgumentNullException.ThrowIfNull(backbone);
        ClipConfig config = backbone.Config;
        return new BackboneResults(
            backbone.Name,
            backbone.Sha256,
            backbone.Location,
            config.ImageSize,
            config.PatchSize,
            config.EmbeddingWidth,
            BranchShape.From(config.Text),
            BranchShape.From(config.Image)
        );
    }
}

/// <summary>The shape of one tower of CLIP.</summary>
/// <param name="Layers">Number of blocks.</param>
/// <param name="Width">Model width in floats.</param>
/// <param name="Heads">Attention heads.</param>
internal sealed record BranchShape(int Layers, int Width, int Heads)
{
    /// <summary>Describes a tower.</summary>
    public static BranchShape From(ClipTransformerConfig branch)
    {
        ArgumentNullException.ThrowIfNull(branch);
        return new BranchShape(branch.Layers, branch.Width, branch.Heads);
    }
}

/// <summary>Time and memory of one stage.</summary>
/// <param name="Name">The stage: search, training, test, …</param>
/// <param name="Seconds">Wall-clock time in seconds.</param>
/// <param name="PeakBytes">The process's largest resident set up to the stage's end, in bytes; null if it was not measured.</param>
internal sealed record StageCost(string Name, double Seconds, long? PeakBytes = null);
