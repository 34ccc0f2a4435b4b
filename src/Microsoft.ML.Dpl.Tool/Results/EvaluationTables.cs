using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows an evaluation as tables.</summary>
internal static class EvaluationTables
{
    // A wider matrix fits no screen.
    private const int LargestMatrix = 15, MostConfusions = 10;

    public static void Write(Evaluation evaluation)
    {
        Terminal.Out.Write(Overall(evaluation));
        Terminal.Out.Write(Classes(evaluation));
        if (evaluation.Classes.Count <= LargestMatrix) Terminal.Out.Write(Matrix(evaluation));
        WriteConfusions(evaluation);
    }

    /// <summary>A share in per cent.</summary>
    public static string Percent(double? share) => share is double value ? value.ToString("p2", CultureInfo.InvariantCulture) : "-";

    /// <summary>An accuracy and its interval.</summary>
    public static string Interval(Evaluation evaluation) => $"{Percent(evaluation.AccuracyInterval[0])} to {Percent(evaluation.AccuracyInterval[1])}";

    private static Table Overall(Evaluation evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("measure").AddColumn(new TableColumn("value").RightAligned());
        void Row(string name, string value) => table.AddRow(name, value);
        Row("pictures", evaluation.Count.ToString(CultureInfo.InvariantCulture));
        Row("accuracy", Percent(evaluation.Accuracy));
        Row("its 95 % interval", Interval(evaluation));
        Row("mean over classes", Percent(evaluation.MacroAccuracy));
        Row("log-loss (nats)", evaluation.LogLoss.ToString("f4", CultureInfo.InvariantCulture));
        Row("calibration error", Percent(evaluation.CalibrationError));
        return table;
    }

    private static Table Classes(Evaluation evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("class");
        foreach (string column in new[] { "pictures", "right", "precision", "F1" }) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (ClassEvaluation single in evaluation.Classes)
            table.AddRow(Markup.Escape(single.Name), single.Count.ToString(CultureInfo.InvariantCulture), Percent(single.Recall), Percent(single.Precision), Percent(single.F1));
        return table;
    }

    private static Table Matrix(Evaluation evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("is \\ taken for");
        foreach (ClassEvaluation single in evaluation.Classes) table.AddColumn(new TableColumn(Markup.Escape(single.Name)).RightAligned());
        foreach (var (single, row) in evaluation.Classes.Zip(evaluation.Confusion))
            table.AddRow([Markup.Escape(single.Name), .. row.Select(count => count == 0 ? "·" : count.ToString(CultureInfo.InvariantCulture))]);
        return table;
    }

    private static void WriteConfusions(Evaluation evaluation)
    {
        var confused = evaluation.Confusion.SelectMany((row, label) => row.Select((count, predicted) => (Count: count, Label: label, Predicted: predicted)))
            .Where(c => c.Label != c.Predicted && c.Count > 0).OrderByDescending(c => c.Count).Take(MostConfusions).ToArray();
        if (confused.Length == 0) return;
        var table = new Table().Border(TableBorder.Simple).AddColumn("confused most").AddColumn("taken for").AddColumn(new TableColumn("pictures").RightAligned());
        foreach (var (count, label, predicted) in confused)
            table.AddRow(Markup.Escape(evaluation.Classes[label].Name), Markup.Escape(evaluation.Classes[predicted].Name), count.ToString(CultureInfo.InvariantCulture));
        Terminal.Out.Write(table);
    }
}
