using System.Globalization;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows test results as tables.</summary>
internal static class EvaluationTables
{
    // A larger matrix fits no screen.
    private const int LargestMatrix = 15,
        MostConfusions = 10,
        MatrixGap = 3;
    private const string MatrixCorner = "is \\ taken for";

    public static void Write(TestResults evaluation)
    {
        Terminal.Out.Write(Overall(evaluation));
        Terminal.Out.Write(Classes(evaluation));
        if (evaluation.Classes.Count <= LargestMatrix && MatrixWidth(evaluation) <= Terminal.Out.Profile.Width)
            Terminal.Out.Write(Matrix(evaluation));
        WriteConfusions(evaluation);
    }

    /// <summary>Formats a fraction as a percentage.</summary>
    public static string Percent(double? share) => share is double value ? value.ToString("p2", CultureInfo.InvariantCulture) : "-";

    /// <summary>Formats the bounds of an accuracy's interval.</summary>
    public static string Interval(AccuracyInterval accuracy) => $"{Percent(accuracy.Lower)} to {Percent(accuracy.Upper)}";

    private static string Share(int part, int whole) => whole == 0 ? "-" : Percent((double)part / whole);

    private static Table Overall(TestResults evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("measure").AddColumn(new TableColumn("value").RightAligned());
        void Row(string name, string value) => table.AddRow(name, value);
        Row("images", evaluation.Predictions.Count.ToString(CultureInfo.InvariantCulture));
        if (evaluation.Unanswered is int unanswered)
            Row("without an answer", unanswered.ToString(CultureInfo.InvariantCulture));
        Row("accuracy", Percent(evaluation.Accuracy.Accuracy));
        Row("its 95 % interval", Interval(evaluation.Accuracy));
        Row("mean over classes", Percent(evaluation.MacroAccuracy));
        Row("log-loss (nats)", evaluation.LogLoss.ToString("f4", CultureInfo.InvariantCulture));
        Row("calibration error", Percent(evaluation.Calibration.ExpectedError));
        return table;
    }

    private static Table Classes(TestResults evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("class");
        foreach (string column in new[] { "images", "right", "precision", "F1" })
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (ClassAccuracy single in evaluation.PerClass)
        {
            table.AddRow(
                Terminal.Cell(single.Name),
                single.Images.ToString(CultureInfo.InvariantCulture),
                Share(single.Right, single.Images),
                Share(single.Right, single.Predicted),
                single.Images == 0 ? "-" : Share(2 * single.Right, single.Images + single.Predicted)
            );
        }
        return table;
    }

    // Columns that do not fit would silently be left out.
    private static int MatrixWidth(TestResults evaluation) =>
        evaluation.Classes.Append(MatrixCorner).Max(name => name.Length) + evaluation.Classes.Sum(name => name.Length + MatrixGap);

    private static Table Matrix(TestResults evaluation)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn(MatrixCorner);
        foreach (string name in evaluation.Classes)
            table.AddColumn(new TableColumn(Terminal.Cell(name)).RightAligned());
        foreach (var (name, row) in evaluation.Classes.Zip(evaluation.Confusion))
            table.AddRow([Terminal.Cell(name), .. row.Select(count => count == 0 ? "·" : count.ToString(CultureInfo.InvariantCulture))]);
        return table;
    }

    private static void WriteConfusions(TestResults evaluation)
    {
        var confused = evaluation
            .Confusion.SelectMany((row, label) => row.Select((count, predicted) => (Count: count, Label: label, Predicted: predicted)))
            .Where(c => c.Label != c.Predicted && c.Count > 0)
            .OrderByDescending(c => c.Count)
            .Take(MostConfusions)
            .ToArray();
        if (confused.Length == 0)
            return;
        var table = new Table()
            .Border(TableBorder.Simple)
            .AddColumn("confused most")
            .AddColumn("taken for")
            .AddColumn(new TableColumn("images").RightAligned());
        foreach (var (count, label, predicted) in confused)
            table.AddRow(
                Terminal.Cell(evaluation.Classes[label]),
                Terminal.Cell(evaluation.Classes[predicted]),
                count.ToString(CultureInfo.InvariantCulture)
            );
        Terminal.Out.Write(table);
    }
}
