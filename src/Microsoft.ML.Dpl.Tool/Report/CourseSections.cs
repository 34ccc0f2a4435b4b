using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>How the search and the training went.</summary>
internal static class CourseSections
{
    private static readonly PlotAxis Epochs = new("epoch") { Numbers = PlotNumbers.Whole };

    public static Section Alphas(FitResults results)
    {
        const string id = "alphas", title = "What the search weighed";
        if (results.Search is not { Epochs.Count: > 0 } search) return Section.Missing(id, title, "The context lengths were given, so there was no search.");
        SearchEpochResults last = search.Epochs[^1];
        return new Section(id, title, Markup.Of($"""
            <p>The softmax weight of every candidate context length in every layer, after {search.Epochs.Count} epochs: the darker, the more. The choice has a frame.</p>
            <div class="pair">{Grid("Text branch", search.CandidateLengths, last.TextAlphas)}{Grid("Image branch", search.CandidateLengths, last.ImageAlphas)}</div>
            """));
    }

    public static Section Settling(FitResults results)
    {
        const string id = "settling", title = "How the search settled";
        if (results.Search is not { Epochs.Count: > 0 } search) return Section.Missing(id, title, "There was no search.");
        double[] places = Places(search.Epochs.Count);
        int layers = search.Epochs[^1].TextAlphas.Count + search.Epochs[^1].ImageAlphas.Count;
        return new Section(id, title, Markup.Of($"""
            <p>A layer counts as decided when its choice leads the next by {Written.Percent(search.Margin)} of the weight. After the last epoch {search.Epochs[^1].DecidedLayers} of {layers} were.</p>
            <div class="plots">
            {Figure(new PlotPicture("decided", "Layers decided, by epoch", Epochs, new PlotAxis("layers decided") { Minimum = 0, Maximum = layers, Numbers = PlotNumbers.Whole },
                [new PlotSeries("decided", PlotMark.Line, places, [.. search.Epochs.Select(e => (double)e.DecidedLayers)])]))}
            {Figure(new PlotPicture("change", "Largest change of an alpha, by epoch", Epochs, new PlotAxis("largest change of an alpha") { Minimum = 0 },
                [new PlotSeries("change", PlotMark.Line, places, [.. search.Epochs.Select(e => e.LargestAlphaChange ?? double.NaN)]) { Colour = 3 }]))}
            {Figure(new PlotPicture("search-loss", "Losses of the search, by epoch", Epochs, new PlotAxis("cross-entropy in nats"),
                [new PlotSeries("training", PlotMark.Line, places, [.. search.Epochs.Select(e => e.TrainLoss)]), new PlotSeries("validation", PlotMark.Line, places, [.. search.Epochs.Select(e => e.ValidationLoss)]) { Colour = 2 }]))}
            </div>
            """));
    }

    public static Section Training(FitResults results)
    {
        const string id = "training", title = "How the training went";
        if (results.Training is not { Epochs.Count: > 0 } training) return Section.Missing(id, title, "There was no training, or its course was not kept.");
        double[] places = Places(training.Epochs.Count);
        bool validated = training.Epochs.Any(e => e.ValidationLoss is not null);
        List<PlotSeries> losses = [new PlotSeries("training", PlotMark.Line, places, [.. training.Epochs.Select(e => e.TrainLoss)])];
        if (validated) losses.Add(new PlotSeries("validation", PlotMark.Line, places, [.. training.Epochs.Select(e => e.ValidationLoss ?? double.NaN)]) { Colour = 2 });
        Markup accuracy = training.Epochs.Any(e => e.ValidationAccuracy is not null)
            ? Figure(new PlotPicture("accuracy", "Validation accuracy, by epoch", Epochs, new PlotAxis("validation accuracy") { Numbers = PlotNumbers.Percent },
                [new PlotSeries("validation", PlotMark.Line, places, [.. training.Epochs.Select(e => e.ValidationAccuracy ?? double.NaN)]) { Colour = 2 }]))
            : Markup.Of($"""<p class="missing">There were no validation rows, so there is no accuracy by epoch.</p>""");
        string kept = training.ValidationAccuracy is double best ? $"The prompts that were kept classify {Written.Percent(best)} of the validation rows rightly." : "";
        return new Section(id, title, Markup.Of($"""
            <p>{kept}</p><div class="plots">{Figure(new PlotPicture("training-loss", "Losses of the training, by epoch", Epochs, new PlotAxis("loss in nats"), losses))}{accuracy}</div>
            """));
    }

    public static Section Lengths(FitResults results)
    {
        const string id = "lengths", title = "The context lengths on the two towers";
        if (results.Configuration is not { } configuration) return Section.Missing(id, title, "No configuration was reached.");
        return new Section(id, title, Markup.Of($"""
            <p>Every block is one prompt row; layers from the first, which reads words or patches, to the last. <code>{configuration.ToString()}</code></p>
            <div class="pair">{Tower("Text branch", configuration.Text)}{Tower("Image branch", configuration.Image)}</div>
            """));
    }

    public static Markup Figure(PlotPicture picture) => Markup.Of($"<figure>{new Markup(PlotHost.Svg(picture))}</figure>");

    private static double[] Places(int epochs) => [.. Enumerable.Range(1, epochs).Select(i => (double)i)];

    private static Markup Tower(string name, IReadOnlyList<int> lengths)
    {
        const int mostBlocks = 16;
        return Markup.Of($"""
            <div class="wide"><h3>{name}</h3><div class="tower">{Markup.Join(lengths.Select((length, layer) => Markup.Of($"""
                <div class="layer" title="layer {layer + 1}: {length}"><div class="rows">{Markup.Join(Enumerable.Repeat(new Markup("<i></i>"), Math.Min(length, mostBlocks)))}</div><b>{length}</b><small>{layer + 1}</small></div>
                """)))}</div></div>
            """);
    }

    /// <summary>Layers from left to right, candidates from top to bottom, as in the paper's figure of alphas.</summary>
    private static Markup Grid(string name, IReadOnlyList<int> candidates, IReadOnlyList<IReadOnlyList<float>> alphas)
    {
        double[][] weights = [.. alphas.Select(AlphaWeights.Softmax)];
        int[] choices = [.. alphas.Select(AlphaWeights.Choice)];
        Markup head = Markup.Join(weights.Select((_, layer) => Markup.Of($"<th>{layer + 1}</th>")));
        Markup rows = Markup.Join(candidates.Select((length, c) => Markup.Of($"""
            <tr><th scope="row">{length}</th>{Markup.Join(weights.Select((layer, l) => Cell(layer[c], choices[l] == c)))}</tr>
            """)));
        return Markup.Of($"""<div class="wide"><h3>{name}</h3><table class="grid"><thead><tr><th>length</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>""");
    }

    private static Markup Cell(double weight, bool chosen)
        => double.IsFinite(weight)
            ? Markup.Of($"""<td class="{(weight > 0.5 ? "dark " : "")}{(chosen ? "chosen" : "")}" style="--weight:{100 * weight:0.0}%" title="{Written.Percent(weight)}">{100 * weight:0}</td>""")
            : Markup.Of($"""<td title="no number">–</td>""");
}
