using Drawing.Tasks;
using EuroSat;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace WebApp;

/// <summary>What a small model is made of, and what it is tried on.</summary>
/// <param name="Backbone">The CLIP, one of those that come along.</param>
/// <param name="Template">The text of a class.</param>
/// <param name="Prompts">Prompt rows of each layer: no search, because the visitor waits.</param>
/// <param name="Train">Files and classes.</param>
/// <param name="Examples">One image of each class that the model was not trained on.</param>
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

    /// <summary>What people read of a demo's model.</summary>
    /// <param name="demo"><see cref="Drawn"/> or <see cref="Tiles"/>.</param>
    public static string Title(string demo) =>
        demo == Tiles ? "Land use in satellite tiles" : "Colours of drawn things under coloured light";

    /// <summary>The images of a demo.</summary>
    /// <param name="demo"><see cref="Drawn"/> or <see cref="Tiles"/>.</param>
    /// <param name="folder">Drawn images go there.</param>
    /// <param name="cancellationToken">Ends the drawing, which takes seconds.</param>
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
        // Uniform lengths do as well here as a search.
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
