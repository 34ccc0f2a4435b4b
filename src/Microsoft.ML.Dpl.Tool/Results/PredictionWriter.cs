using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Output formats of predictions.</summary>
internal enum PredictionFormat
{
    Table,
    Csv,
    Jsonl,
}

/// <summary>Writes predictions, one image at a time.</summary>
/// <param name="classes">Class names in the order of the scores.</param>
/// <param name="top">Number of most probable classes to write for each image, at least 1.</param>
/// <param name="threshold">The minimum probability for a class to be predicted; null for no minimum.</param>
internal abstract class PredictionWriter(IReadOnlyList<string> classes, int top, double? threshold)
{
    /// <summary>Number of classes that are written for each image.</summary>
    protected int Top { get; } = Math.Min(top, classes.Count);

    /// <param name="format">The output format.</param>
    /// <param name="classes">Class names in the order of the scores.</param>
    /// <param name="top">Number of most probable classes to write for each image, at least 1.</param>
    /// <param name="output">Where CSV and JSON lines are written.</param>
    /// <param name="keepFormulas">Whether a CSV field may start like a spreadsheet formula.</param>
    /// <param name="threshold">The minimum probability for a class to be predicted; null for no minimum.</param>
    public static PredictionWriter Create(
        PredictionFormat format,
        IReadOnlyList<string> classes,
        int top,
        TextWriter output,
        bool keepFormulas = false,
        double? threshold = null
    ) =>
        format switch
        {
            PredictionFormat.Csv => new Csv(
                classes,
                top,
                threshold,
                output,
                keepFormulas,
                isShown: !Console.IsOutputRedirected,
                hasHeader: true
            ),
            PredictionFormat.Jsonl => new JsonLines(classes, top, threshold, output),
            _ => new Tabular(classes, top, threshold),
        };

    /// <summary>Creates the writer of one of several files: only the first has a header, so that the files can be concatenated.</summary>
    /// <param name="format">csv or jsonl.</param>
    /// <param name="classes">Class names in the order of the scores.</param>
    /// <param name="top">Number of most probable classes to write for each image, at least 1.</param>
    /// <param name="output">The file.</param>
    /// <param name="keepFormulas">Whether a CSV field may start like a spreadsheet formula.</param>
    /// <param name="isFirst">Whether this is the first file.</param>
    /// <param name="threshold">The minimum probability for a class to be predicted; null for no minimum.</param>
    public static PredictionWriter CreateForPart(
        PredictionFormat format,
        IReadOnlyList<string> classes,
        int top,
        TextWriter output,
        bool keepFormulas,
        bool isFirst,
        double? threshold
    ) =>
        format switch
        {
            PredictionFormat.Csv => new Csv(classes, top, threshold, output, keepFormulas, isShown: false, hasHeader: isFirst),
            PredictionFormat.Jsonl => new JsonLines(classes, top, threshold, output),
            _ => throw new ArgumentException($"{format} is for a terminal."),
        };

    /// <param name="path">The image's path as the user gave it.</param>
    /// <param name="probabilities">One per class; null if the image could not be read.</param>
    /// <param name="error">Why the image could not be read; otherwise null.</param>
    public abstract void Write(string path, float[]? probabilities, string? error);

    /// <summary>Completes the output after the last image.</summary>
    public virtual void End()
    {
        // Only the table has something to do here.
    }

    /// <summary>The most probable classes in descending order; ties keep the order of the classes.</summary>
    protected IReadOnlyList<Guess> Best(float[] probabilities) =>
        [
            .. probabilities
                .Select((probability, index) => new Guess(classes[index], probability))
                .OrderByDescending(guess => guess.Probability)
                .Take(Top),
        ];

    /// <summary>The class that is predicted: the most probable one, or null below the threshold.</summary>
    protected string? Predicted(IReadOnlyList<Guess> best) => best[0].Probability < threshold ? null : best[0].Class;

    /// <summary>The most probable classes as fields of a row, of which the first class is empty below the threshold.</summary>
    protected IReadOnlyList<Guess> Row(float[] probabilities)
    {
        IReadOnlyList<Guess> best = Best(probabilities);
        return [best[0] with { Class = Predicted(best) ?? "" }, .. best.Skip(1)];
    }

    /// <summary>A class and its probability.</summary>
    protected sealed record Guess(string Class, float Probability);

    private sealed class Tabular(IReadOnlyList<string> classes, int top, double? threshold) : PredictionWriter(classes, top, threshold)
    {
        private readonly Table _table = new Table()
            .Border(TableBorder.Simple)
            .AddColumn("image")
            .AddColumn("class")
            .AddColumn(new TableColumn("probability").RightAligned());

        public override void Write(string path, float[]? probabilities, string? error)
        {
            if (probabilities is null)
                return;
            IReadOnlyList<Guess> best = Row(probabilities);
            for (int rank = 0; rank < best.Count; rank++)
                _table.AddRow(
                    rank == 0 ? Terminal.Cell(path) : "",
                    Terminal.Cell(best[rank].Class),
                    best[rank].Probability.ToString("p2", CultureInfo.InvariantCulture)
                );
        }

        public override void End()
        {
            if (_table.Rows.Count > 0)
                Terminal.Out.Write(_table);
        }
    }

    private sealed class Csv : PredictionWriter
    {
        private readonly TextWriter _output;
        private readonly bool _keepFormulas,
            _isShown;

        public Csv(
            IReadOnlyList<string> classes,
            int top,
            double? threshold,
            TextWriter output,
            bool keepFormulas,
            bool isShown,
            bool hasHeader
        )
            : base(classes, top, threshold)
        {
            (_output, _keepFormulas, _isShown) = (output, keepFormulas, isShown);
            if (!hasHeader)
                return;
            Line([
                "path",
                .. Enumerable
                    .Range(1, Top)
                    .SelectMany(rank => rank == 1 ? new[] { "class", "probability" } : [$"class{rank}", $"probability{rank}"]),
            ]);
        }

        public override void Write(string path, float[]? probabilities, string? error)
        {
            if (probabilities is not null)
                Line([
                    path,
                    .. Row(probabilities)
                        .SelectMany(guess => new[] { guess.Class, guess.Probability.ToString("g6", CultureInfo.InvariantCulture) }),
                ]);
        }

        private void Line(IEnumerable<string> fields)
        {
            _output.WriteLine(string.Join(',', fields.Select(field => CsvText.Field(field, _isShown, _keepFormulas))));
            _output.Flush();
        }
    }

    private sealed class JsonLines(IReadOnlyList<string> classes, int top, double? threshold, TextWriter output)
        : PredictionWriter(classes, top, threshold)
    {
        public override void Write(string path, float[]? probabilities, string? error)
        {
            IReadOnlyList<Guess>? best = probabilities is null ? null : Best(probabilities);
            output.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        path,
                        @class = best is null ? null : Predicted(best),
                        probability = best?[0].Probability,
                        top = best,
                        error,
                    },
                    ToolJson.Line
                )
            );
            output.Flush();
        }
    }
}
