using Drawing.Tasks;
using EuroSat;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace WebApp;

/// <summary>The settings and training images of a demo model, and the example images to try it on.</summary>
/// <param name="Backbone">The CLIP, one of the embedded ones.</param>
/// <param name="Template">The template of a class's text.</param>
/// <param name="Prompts">The prompt lengths: given instead of searched, since the visitor is waiting.</param>
/// <param name="Train">Paths and classes of the training images.</param>
/// <param name="Examples">Path and class of one example image per class, which the model was not trained on.</param>
internal sealed record DemoImages(
    ClipBackbone Backbone,
    string Template,
    PromptConfiguration Prompts,
    IReadOnlyList<(string Path, string Label)> Train,
    IReadOnlyList<(string Path, string Label)> Examples
)
{
    /// <summary>The demo of drawn images.</summary>
    public const string Drawn = "drawn";

    /// <summary>The demo of satellite tiles.</summary>
    public const string Tiles = EuroSatTiles.Name;

    private const int Pixels = 224;

    /// <summary>The display name of a demo's model.</summary>
    /// <param name="demo"><see cref="Drawn"/> or <see cref="Tiles"/>.</param>
    public static string Title(string demo) =>
        demo == Tiles ? "Land use in satellite tiles" : "Colours of drawn things under coloured light";

    /// <summary>Creates the images of a demo.</summary>
    /// <param name="demo"><see cref="Drawn"/> or <see cref="Tiles"/>.</param>
    /// <param name="folder">Folder that drawn images are written to.</param>
    /// <param name="cancellationToken">Cancels the drawing, which takes seconds.</param>
    public static DemoImages Create(string demo, string folder, CancellationToken cancellationToken) =>
        demo == Tiles ? Satellite() : Draw(folder, cancellationToken);

    private static DemoImages Satellite() =>
        new(
            ClipBackbone.Tiny,
            EuroSatTiles.Template,
            PromptConfiguration.Uniform(ClipBackbone.Tiny, 4),
            [.. EuroSatTiles.Train.Select(tile => (tile.ImagePath, tile.Label))],
            [.. EuroSatTiles.Test.DistinctBy(tile => tile.Label).Select(tile => (tile.ImagePath, tile.Label))]
        );

    private static DemoImages Draw(string folder, CancellationToken cancellationToken)
    {
        DrawnTask task = DrawnTasks.Named("lighting");
        string drawn = Path.Combine(folder, task.Name);
        DrawnTaskFiles.Write(
            task,
            drawn,
            trainPerClass: 16,
            validationPerClass: 1,
            testPerClass: 1,
            seed: 1,
            Pixels,
            cancellationToken.ThrowIfCancellationRequested
        );
        // Uniform lengths work as well here as searched ones.
        return new DemoImages(
            ClipBackbone.TinyDrawn,
            task.Template,
            PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 6),
            Rows("train"),
            Rows("test")
        );

        (string, string)[] Rows(string split) =>
            [
                .. from row in File.ReadLines(Path.Combine(drawn, split + ".tsv")).Skip(1)
                let cells = row.Split('\t')
                select (Path.Combine(drawn, cells[0]), cells[1]),
            ];
    }
}
