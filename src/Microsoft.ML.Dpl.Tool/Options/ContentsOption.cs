using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>What of CLIP a model zip is to hold.</summary>
internal sealed class ContentsOption
{
    private const string Prompts = "prompts",
        ImageTower = "image-tower",
        Clip = "clip",
        Onnx = "onnx";

    private readonly Option<string> _contents;

    /// <param name="isForAnyMachine">Whether the zip holds what a prediction needs unless told otherwise.</param>
    public ContentsOption(bool isForAnyMachine) =>
        _contents = new Option<string>("--contents")
        {
            Description =
                "What the model zip holds: image-tower (predicts on any machine, without CLIP's folder; some 330 MiB for ViT-B/16), "
                + "prompts (a few hundred KiB; CLIP must be at hand for prediction), clip (all of it, so that other classes can be had "
                + "after loading) or onnx (prompts and a graph, by which an application without libtorch predicts).",
            DefaultValueFactory = _ => isForAnyMachine ? ImageTower : Prompts,
        }.AcceptOnlyFromAmong(Prompts, ImageTower, Clip, Onnx);

    public void AddTo(System.CommandLine.Command command) => command.Options.Add(_contents);

    public DplModelContents Of(ParseResult arguments) =>
        arguments.GetRequiredValue(_contents) switch
        {
            ImageTower => DplModelContents.WithImageTower,
            Clip => DplModelContents.WithClip,
            Onnx => DplModelContents.WithOnnx,
            _ => DplModelContents.PromptsOnly,
        };
}
