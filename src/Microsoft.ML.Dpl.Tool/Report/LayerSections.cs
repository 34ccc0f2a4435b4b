using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The sections about the layers of both towers: the alphas and the chosen prompt lengths.</summary>
internal static class LayerSections
{
    // With more layers the two towers do not fit side by side.
    private const int MostLayersInPair = 14;

    public static Section Alphas(FitResults results)
    {
        const string id = "alphas",
            title = "What the search weighed";
        if (results.Search is not { Epochs.Count: > 0 } search)
            return Section.Missing(id, title, "The prompt lengths were given, so there was no search.");
        SearchEpochResults last = search.Epochs[^1];
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>The softmax weight of every candidate prompt length in every layer, in per cent, after {Written.Count(
                    search.Epochs.Count,
                    "epoch"
                )}: the darker, the more. The choice has a frame.</p>
                <div class="{Pair(last.TextAlphas.Count, last.ImageAlphas.Count)}">{Grid(
                    "Text tower",
                    search.CandidateLengths,
                    last.TextAlphas
                )}{Grid("Image tower", search.CandidateLengths, last.ImageAlphas)}</div>
                """
            )
        );
    }

    public static Section Lengths(FitResults results)
    {
        const string id = "lengths",
            title = "The prompt lengths in the two towers";
        if (results.Configuration is not { } configuration)
            return Section.Missing(id, title, "There is no configuration.");
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>Every block is one prompt row; layers from the first, which reads words or patches, to the last. <code>{configuration.ToString()}</code></p>
                <div class="{Pair(configuration.Text.Count, configuration.Image.Count)}">{Tower("Text tower", configuration.Text)}{Tower(
                    "Image tower",
                    configuration.Image
                )}</div>
                """
            )
        );
    }

    private static string Pair(int text, int image) => Math.Max(text, image) > MostLayersInPair ? "pair stacked" : "pair";

    private static Markup Tower(string name, IReadOnlyList<int> lengths)
    {
        const int mostBlocks = 16;
        return Markup.Format(
            $"""
            <div><h3>{name}</h3><div class="wide"><div class="tower" role="img" aria-label="{name}: prompt rows by layer {string.Join(", ", lengths)}">{Markup.Join(lengths.Select((length, layer) => Markup.Format($"""
                <div class="layer" title="layer {layer + 1}: {length}"><div class="rows">{Markup.Join(Enumerable.Repeat(new Markup("<i></i>"), Math.Min(length, mostBlocks)))}</div><b>{length}</b><small>{layer + 1}</small></div>
                """)))}</div></div><p class="under">rows, and below them the layer</p></div>
            """
        );
    }

    /// <summary>A table with layers from left to right and candidates from top to bottom, as in the paper's figure of alphas.</summary>
    private static Markup Grid(string name, IReadOnlyList<int> candidates, IReadOnlyList<IReadOnlyList<float>> alphas)
    {
        double[][] weights = [.. alphas.Select(AlphaWeights.Softmax)];
        int[] choices = [.. alphas.Select(AlphaWeights.Choice)];
        Markup head = Markup.Join(weights.Select((_, layer) => Markup.Format($"""<th scope="col">{layer + 1}</th>""")));
        Markup rows = Markup.Join(
            candidates.Select(
                (length, c) =>
                    Markup.Format(
                        $"""
                        <tr><th scope="row">{length}</th>{Markup.Join(
                            weights.Select((layer, l) => Cell(layer[c], choices[l] == c, $"layer {l + 1}, length {length}"))
                        )}</tr>
                        """
                    )
            )
        );
        return Markup.Format(
            $"""<div><h3>{name}</h3><div class="wide plate"><table class="grid"><thead><tr><th scope="col">length \ layer</th>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>"""
        );
    }

    private static Markup Cell(double weight, bool chosen, string place)
    {
        // Above this weight, white text is easier to read than black.
        const double dark = 0.55;
        return double.IsFinite(weight)
            ? Markup.Format(
                $"""<td class="{(weight > dark ? "dark " : "")}{(chosen ? "chosen" : "")}" style="--weight:{100 * weight:0.0}%" title="{place}: {Written.Percent(weight)}{(chosen ? ", chosen" : "")}">{100 * weight:0}</td>"""
            )
            : Markup.Format($"""<td title="{place}: no number">–</td>""");
    }
}
