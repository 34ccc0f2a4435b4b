using Microsoft.ML.Dpl.Plots;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The sections with the curves of search and training by epoch.</summary>
internal static class EpochSections
{
    private static readonly PlotAxis Epochs = new("epoch") { Numbers = PlotNumbers.Whole };

    public static Section Settling(FitResults results)
    {
        const string id = "settling",
            title = "How the search settled";
        if (results.Search is not { Epochs.Count: > 0 } search)
            return Section.Missing(id, title, "There was no search.");
        double[] places = [.. Enumerable.Range(1, search.Epochs.Count).Select(epoch => (double)epoch)];
        SearchEpochResults last = search.Epochs[^1];
        int layers = last.TextAlphas.Count + last.ImageAlphas.Count;
        double[] changes = [.. search.Epochs.Select(e => e.LargestAlphaChange ?? double.NaN)],
            train = [.. search.Epochs.Select(e => e.TrainLoss)],
            validation = [.. search.Epochs.Select(e => e.ValidationLoss)];
        // The first epoch has no predecessor, so a single epoch shows no change.
        Markup movement =
            search.Epochs.Count > 1
                ? PlotFigure.Create(
                    new PlotImage(
                        "change",
                        $"Largest change of an alpha, by epoch: {FromTo(changes)}.",
                        Epochs,
                        new PlotAxis("largest change of an alpha since the epoch before") { Minimum = 0 },
                        [new PlotSeries("change", PlotMark.Line, places, changes) { Colour = 3 }]
                    )
                )
                : Markup.Format($"""<p class="missing">One epoch shows no movement of the alphas.</p>""");
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
            <p>A layer counts as decided when its choice leads the next by {Written.Percent(search.Margin)} of the weight. After the last epoch {last.DecidedLayers} of {layers} were.</p>
            <div class="plots">
            {PlotFigure.Create(new PlotImage("decided", $"Layers decided, by epoch: from {search.Epochs[0].DecidedLayers} to {last.DecidedLayers} of {layers}.", Epochs, new PlotAxis($"layers decided, of {layers}") { Minimum = 0, Maximum = layers, Numbers = PlotNumbers.Whole },
                [new PlotSeries("decided", PlotMark.Line, places, [.. search.Epochs.Select(e => (double)e.DecidedLayers)])]))}
            {movement}
            {PlotFigure.Create(new PlotImage("search-loss", $"Losses of the search in nats, by epoch: training {FromTo(train)}; validation {FromTo(validation)}{Guessing.LossInWords(results)}.", Epochs, new PlotAxis("cross-entropy in nats"),
                [new PlotSeries("training", PlotMark.Line, places, train), new PlotSeries("validation", PlotMark.Line, places, validation) { Colour = 2 }, .. Guessing.Loss(results, places)]))}
            </div>
            """
            )
        );
    }

    public static Section Training(FitResults results)
    {
        const string id = "training",
            title = "How the training went";
        if (results.Training is not { Epochs.Count: > 0 } training)
            return Section.Missing(id, title, "There was no training, or its epochs were not kept.");
        double[] places = [.. training.Epochs.Select((epoch, i) => (double)(epoch.Epoch ?? i + 1))];
        double[] losses = [.. training.Epochs.Select(e => e.TrainLoss)],
            validation = [.. training.Epochs.Select(e => e.ValidationLoss ?? double.NaN)],
            accuracies = [.. training.Epochs.Select(e => e.ValidationAccuracy ?? double.NaN)];
        bool validated = accuracies.Any(double.IsFinite);
        // Among equally good epochs the training keeps the last.
        int kept = training.ValidationAccuracy is double best ? Array.LastIndexOf(accuracies, best) : -1;
        Markup accuracy = validated
            ? PlotFigure.Create(
                new PlotImage(
                    "accuracy",
                    $"Validation accuracy, by epoch: {FromTo(accuracies, Written.Percent)}{Guessing.AccuracyInWords(results)}.",
                    Epochs,
                    new PlotAxis("validation accuracy") { Numbers = PlotNumbers.Percent },
                    [
                        new PlotSeries("after each epoch", PlotMark.Line, places, accuracies) { Colour = 2 },
                        .. kept >= 0
                            ? new[] { new PlotSeries("kept", PlotMark.Points, [places[kept]], [accuracies[kept]]) { Colour = 0 } }
                            : [],
                        .. Guessing.Accuracy(results, places),
                    ]
                )
            )
            : Markup.Format(
                $"""<p class="missing">{(results.WasRefitted ? "The validation rows were trained on, too" : "There were no validation rows")}, so there is no accuracy by epoch.</p>"""
            );
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
            {(results.WasRefitted ? Refitted(training) : Kept(training, kept < 0 ? null : (int)places[kept]))}{Before((int)places[0] - 1)}
            <div class="plots">
            {PlotFigure.Create(new PlotImage("training-loss", $"Losses of the training in nats, by epoch: training {FromTo(losses)}{(validated ? $"; validation {FromTo(validation)}" : "")}{Guessing.LossInWords(results)}.", Epochs, new PlotAxis("loss in nats"),
                [new PlotSeries("training", PlotMark.Line, places, losses), .. validated ? new[] { new PlotSeries("validation", PlotMark.Line, places, validation) { Colour = 2 } } : [], .. Guessing.Loss(results, places)]))}
            {accuracy}
            </div>
            """
            )
        );
    }

    private static Markup Refitted(TrainingResults training) =>
        Markup.Format(
            $"""
            <p>The training was on the validation rows, too. The validation accuracy of
            {Written.Percent(training.ValidationAccuracy!.Value)} is that of the short training by which these lengths were chosen.</p>
            """
        );

    private static Markup Kept(TrainingResults training, int? epoch)
    {
        if (training.ValidationAccuracy is not double accuracy)
            return Markup.Empty;
        return epoch is int number
            ? Markup.Format(
                $"<p>The prompts that were kept are those after epoch {number}: they classify {Written.Percent(accuracy)} of the "
                    + $"validation rows correctly.</p>"
            )
            : Markup.Format($"<p>The prompts that were kept classify {Written.Percent(accuracy)} of the validation rows correctly.</p>");
    }

    /// <summary>A note for a run that was resumed from a checkpoint and has only its own epochs.</summary>
    private static Markup Before(int epochs) =>
        epochs < 1
            ? Markup.Empty
            : Markup.Format(
                $"<p>{(epochs == 1 ? "Epoch 1 was" : $"Epochs 1 to {epochs} were")} run before an interruption; the curves begin "
                    + $"after it.</p>"
            );

    private static string FromTo(double[] values, Func<double, string>? write = null)
    {
        write ??= value => Written.Number(value);
        double[] finite = [.. values.Where(double.IsFinite)];
        return finite.Length == 0 ? "no numbers" : $"from {write(finite[0])} to {write(finite[^1])}";
    }
}
