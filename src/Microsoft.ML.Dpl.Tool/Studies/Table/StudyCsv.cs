using System.Globalization;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>The table as CSV for further processing: one line for each number of each method, in percent and percentage points.</summary>
internal static class StudyCsv
{
    private static readonly string[] Header =
    [
        .. new[] { "protocol", "shots", "measure", "data", "method", "runs", "mean", "half_width_95" },
        .. new[] { "baseline", "pairs", "difference", "difference_low_95", "difference_high_95" },
        "trained_numbers",
    ];

    public static string Write(StudyTable table)
    {
        bool withSeconds = table.FitSeconds(table.Baseline) is not null;
        var text = new StringBuilder();
        void Line(IEnumerable<string> cells) => text.Append(string.Join(',', cells.Select(Quoted))).Append('\n');
        Line(withSeconds ? [.. Header, "fit_seconds"] : Header);
        foreach (StudySection section in table.Sections)
        foreach (string method in table.Results.Methods)
        {
            string numbers = Number(table.Results.Runs.Where(run => run.Method == method).Average(run => run.TrainedNumbers));
            foreach (StudyColumn column in section.Columns)
                if (section.Cell(method, column) is { } cell)
                    Add(column.Name, cell, [column]);
            if (section.Average(method) is { } average)
                Add("average", average, section.Columns.Where(column => column.InAverage));

            void Add(string data, StudyCell cell, IEnumerable<StudyColumn> of)
            {
                StudyDifference? difference =
                    method == table.Baseline ? null : StudyDifference.From(section.Differences(method, table.Baseline, of));
                string[] cells =
                [
                    section.Protocol,
                    section.Shots?.ToString(CultureInfo.InvariantCulture) ?? "",
                    section.Measure.Length > 0 ? section.Measure : "accuracy",
                    data,
                    method,
                    Number(cell.Runs),
                    Number(cell.Mean),
                    Number(cell.HalfWidth),
                    difference is null ? "" : table.Baseline,
                    Number(difference?.Pairs),
                    Number(difference?.Mean),
                    Number(difference?.Interval?.Low),
                    Number(difference?.Interval?.High),
                    numbers,
                ];
                Line(withSeconds ? [.. cells, Number(table.FitSeconds(method))] : cells);
            }
        }
        return text.ToString();
    }

    private static string Number(double? value) => value?.ToString("0.####", CultureInfo.InvariantCulture) ?? "";

    private static string Quoted(string cell) =>
        cell.AsSpan().IndexOfAny(",\"\r\n") >= 0 ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : cell;
}
