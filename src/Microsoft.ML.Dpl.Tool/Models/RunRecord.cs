using System.Collections;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>Collects the settings and the environment of a run for its results.</summary>
internal static class RunRecord
{
    private const int SamplesPerClass = 4;
    private const string SeedOption = "--seed";

    /// <param name="arguments">The command line.</param>
    /// <param name="options">The trainer's options.</param>
    /// <param name="sets">The images.</param>
    /// <param name="started">When the run began.</param>
    public static FitResults Create(ParseResult arguments, DplTrainer.Options options, ImageSets sets, DateTimeOffset started) =>
        new(
            new AskedResults(
                TaskOf(sets.Source),
                Repeat(arguments, options),
                Environment.CurrentDirectory,
                [.. Values(options, "")],
                options.Seed,
                started
            ),
            Versions(options),
            BackboneResults.From(options.Backbone!)
        )
        {
            Data = DataOf(sets) with { SetAside = SetAside(options) },
        };

    /// <summary>The epochs of training as results; null if no epoch was completed.</summary>
    public static TrainingResults? Training(IReadOnlyList<FittedEpoch> epochs, double? validationAccuracy)
    {
        IReadOnlyList<TrainingEpochResults> training = EpochsOf(FitStage.Training, epochs);
        return training.Count == 0 ? null : new TrainingResults(training, validationAccuracy);
    }

    /// <summary>The epochs of the comparison's short trainings as results; empty if no epoch was completed.</summary>
    public static IReadOnlyList<TrainingEpochResults> FinalistEpochs(IReadOnlyList<FittedEpoch> epochs) =>
        EpochsOf(FitStage.Comparison, epochs);

    /// <summary>Time and memory of each stage up to its last complete epoch.</summary>
    public static IEnumerable<StageCost> Stages(IReadOnlyList<FittedEpoch> epochs) =>
        epochs
            .GroupBy(epoch => epoch.Stage)
            .Select(stage => new StageCost(stage.Key.ToString(), stage.Last().Elapsed.TotalSeconds, stage.Last().PeakBytes));

    /// <summary>The process's largest resident set so far, in bytes.</summary>
    public static long Peak()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    private static IReadOnlyList<TrainingEpochResults> EpochsOf(FitStage stage, IReadOnlyList<FittedEpoch> epochs) =>
        [
            .. epochs
                .Where(epoch => epoch.Stage == stage)
                .Select(epoch => new TrainingEpochResults(
                    epoch.LearningRate,
                    epoch.Figures.TrainLoss,
                    epoch.Figures.ValidationLoss,
                    epoch.Figures.ValidationAccuracy,
                    epoch.Epoch
                )),
        ];

    /// <summary>A sentence about the training images that the trainer sets aside for validation; null if there are none.</summary>
    private static string? SetAside(DplTrainer.Options options) =>
        options switch
        {
            { Validation.Set: not null } => null,
            { Validation.Fraction: double fraction } => string.Create(
                CultureInfo.InvariantCulture,
                $"Of each class, {fraction:0.# %} of the training images were set aside for validation, but never all."
            ),
            { Validation.RowsPerClass: int rows } => Sentence(rows),
            { Configuration: null } => Sentence(DplTrainer.ValidationOptions.DefaultRowsPerClass),
            _ => null,
        };

    private static string Sentence(int rows) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"Of each class, {rows} training image{(rows == 1 ? " was" : "s were")} set aside for validation, but never all."
        );

    /// <summary>The name of the data: its file or folder, or the parent folder if the folder is only called train.</summary>
    private static string TaskOf(string source)
    {
        string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(source));
        string name = Directory.Exists(path) ? Path.GetFileName(path) : Path.GetFileNameWithoutExtension(path);
        return SplitNames.Parse(name) is not null && Path.GetFileName(Path.GetDirectoryName(path)) is { Length: > 0 } folder
            ? folder
            : name;
    }

    private static string Repeat(ParseResult arguments, DplTrainer.Options options)
    {
        List<string> words = ["dpl", .. arguments.Tokens.Select(token => token.Value)];
        if (!words.Contains(SeedOption))
            words.AddRange([SeedOption, string.Create(CultureInfo.InvariantCulture, $"{options.Seed}")]);
        return string.Join(' ', words.Select(Quoted));
    }

    private static string Quoted(string word) =>
        word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,+@%".Contains(c))
            ? word
            : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>Lists options by name; the name of an option in a group is prefixed with the group's name and a dot.</summary>
    private static IEnumerable<NamedValue> Values(object owner, string before)
    {
        foreach (PropertyInfo property in owner.GetType().GetProperties().OrderBy(property => property.MetadataToken))
        {
            object? given = property.GetValue(owner);
            if (!property.CanWrite && given is not null)
            {
                foreach (NamedValue inner in Values(given, $"{before}{property.Name}."))
                    yield return inner;
                continue;
            }
            string? text = given switch
            {
                null => "",
                string value => value,
                bool value => value ? "true" : "false",
                IFormattable value => value.ToString(null, CultureInfo.InvariantCulture),
                PromptConfiguration value => value.ToString(),
                ClassWeights value => ReferenceEquals(value, ClassWeights.Balanced) ? "balanced" : "by name",
                IEnumerable value and IReadOnlyList<int> => string.Join(' ', value.Cast<int>()),
                IReadOnlyList<string> value => TemplatesText.Named(value),
                PromptContext value => ContextResults.Described(value),
                KgCoOp value => string.Create(CultureInfo.InvariantCulture, $"{value.Weight}"),
                PromptSrc value => string.Create(
                    CultureInfo.InvariantCulture,
                    $"{value.TextWeight} {value.ImageWeight} {value.LogitsWeight}"
                ),
                ProGrad value => string.Create(CultureInfo.InvariantCulture, $"{value.Weight} {value.Temperature}"),
                EpochAverage value => value.ToString(),
                ClipBackbone value when property.Name == nameof(DplTrainer.DesignOptions.Teacher) => value.Name,
                // Data and backbone are recorded elsewhere in the results; callbacks are not recorded.
                _ => null,
            };
            if (text is not null)
                yield return new NamedValue(before + property.Name, text);
        }
    }

    private static VersionResults Versions(DplTrainer.Options options) =>
        new(
            VersionResults.From(typeof(DplTrainer)),
            VersionResults.From(typeof(MLContext)),
            VersionResults.From(typeof(TorchSharp.torch)),
            LibTorchRuntime.Load(),
            RuntimeInformation.FrameworkDescription,
            RuntimeInformation.OSDescription,
            Processor(),
            Environment.ProcessorCount,
            LibTorchRuntime.Threads,
            options.Compute.Device ?? "cpu"
        );

    private static string Processor()
    {
        const string linux = "/proc/cpuinfo",
            model = "model name";
        string? line = File.Exists(linux)
            ? File.ReadLines(linux).FirstOrDefault(text => text.StartsWith(model, StringComparison.Ordinal))
            : null;
        return line is null
            ? RuntimeInformation.ProcessArchitecture.ToString()
            : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }

    private static DataResults DataOf(ImageSets sets)
    {
        (string Name, IReadOnlyList<ImageRow> Rows, string? Source)[] splits =
        [
            .. new[]
            {
                ("training", sets.Train, sets.Source),
                ("validation", sets.Validation, sets.ValidationSource),
                ("test", sets.Test, sets.TestSource),
            }.Where(split => split.Item2.Count > 0),
        ];
        var counts = splits
            .Select(split => split.Rows.CountBy(row => row.Label, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal))
            .ToArray();
        var samples = sets
            .Train.GroupBy(row => row.Label, StringComparer.Ordinal)
            .ToDictionary(
                group => group.Key,
                group => group.Take(SamplesPerClass).Select(row => row.ImagePath).ToArray(),
                StringComparer.Ordinal
            );
        return new DataResults(
            [.. splits.Select(split => new SplitSource(split.Name, Path.GetFullPath(split.Source ?? sets.Source)))],
            [
                .. sets.Classes.Select(name => new ClassImages(
                    name,
                    [.. counts.Select(count => count.GetValueOrDefault(name))],
                    samples.GetValueOrDefault(name, [])
                )),
            ]
        );
    }
}
