using System.Reflection;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What was asked.</summary>
/// <param name="Task">A short name for the heading: the data's folder or file name, say.</param>
/// <param name="CommandLine">One line that repeats the run in a shell, quoted as needed; every option that is not at its default, the seed
/// in any case.</param>
/// <param name="WorkingFolder">Where <paramref name="CommandLine"/> is to be given; null where its paths are absolute.</param>
/// <param name="Options">All options by name, as text, defaults too; in the order in which they are shown.</param>
/// <param name="Seed">Null where none was given.</param>
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
/// <param name="Name">As on the command line, or as the property is called.</param>
/// <param name="Value">As text.</param>
internal sealed record NamedValue(string Name, string Value);

/// <summary>What a run ran on.</summary>
/// <param name="Library">Version of Microsoft.ML.Dpl.</param>
/// <param name="MLNet">Version of Microsoft.ML.</param>
/// <param name="TorchSharp">Version of TorchSharp.</param>
/// <param name="LibTorch">Version of libtorch, or the sentence that names it.</param>
/// <param name="DotNet">Version of the runtime.</param>
/// <param name="OperatingSystem">Name and version.</param>
/// <param name="Processor">Model name, or the architecture where that is not known.</param>
/// <param name="Processors">Logical processors that the process may use.</param>
/// <param name="Threads">Threads of libtorch.</param>
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
    /// <summary>The version of the assembly that a type is in, with its commit where the build knew that.</summary>
    public static string From(Type type) =>
        type.Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? type.Assembly.GetName().Version?.ToString()
        ?? "";
}

/// <summary>The frozen CLIP.</summary>
/// <param name="Name">Folder or file name.</param>
/// <param name="Sha256">Of the weights, lower-case hexadecimal.</param>
/// <param name="Location">Where it lies; null where it has no place of its own.</param>
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
    /// <summary>Of an open CLIP.</summary>
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

/// <summary>The shape of one branch of CLIP.</summary>
/// <param name="Layers">Number of blocks.</param>
/// <param name="Width">Model width in floats.</param>
/// <param name="Heads">Attention heads.</param>
internal sealed record BranchShape(int Layers, int Width, int Heads)
{
    /// <summary>Of a branch.</summary>
    public static BranchShape From(ClipTransformerConfig branch)
    {
        ArgumentNullException.ThrowIfNull(branch);
        return new BranchShape(branch.Layers, branch.Width, branch.Heads);
    }
}

/// <summary>What one stage took.</summary>
/// <param name="Name">Search, training, test, …</param>
/// <param name="Seconds">Wall time.</param>
/// <param name="PeakBytes">The process's largest resident set until the stage's end; null where it was not measured.</param>
internal sealed record StageCost(string Name, double Seconds, long? PeakBytes = null);
