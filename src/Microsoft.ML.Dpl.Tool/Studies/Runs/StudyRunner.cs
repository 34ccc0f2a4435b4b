using System.Diagnostics;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Studies.Methods;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>Executes runs, that is training and tests, in this process.</summary>
/// <param name="plan">The plan of the runs.</param>
/// <param name="backbone">The plan's CLIP.</param>
/// <param name="data">Reads the images.</param>
/// <param name="cancellationToken">Cancels a run.</param>
internal sealed class StudyRunner(StudyPlan plan, ClipBackbone backbone, StudyData data, CancellationToken cancellationToken)
{
    /// <summary>The version of the library that is stored in the results of this process.</summary>
    public static string Library { get; } = VersionResults.From(typeof(DplTrainer));

    /// <summary>Returns the settings that the results of a run depend on.</summary>
    public static RunSettings Settings(StudyPlan plan, ClipBackbone backbone, StudyRun run)
    {
        PlanDataSet[] tests = run.Part.Source is { } source ? [source, .. run.Part.DataSets] : [run.Data];
        return new RunSettings(
            plan.Clip,
            backbone.Sha256,
            plan.Device,
            plan.Threads,
            run.Data.Template,
            string.Join(", ", tests.Select(test => test.Name)),
            string.Join("; ", tests.Select(test => test.Paths)),
            run.Method.Method.Learns ? null : string.Join("; ", tests.Select(test => test.Template))
        );
    }

    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public RunResult Run(StudyRun run)
    {
        ProtocolSets sets = data.SetsFor(run);
        List<string> warnings = [];
        var clock = new RunClock();
        TestFigures[] tests;
        long numbers = 0;
        double? validation = null;
        string? choice = null;
        if (run.Method.Method.Learns)
        {
            using IStudyClassifier classifier = clock.Fit(() => Fit(run, sets.Classes, run.Data.Template, sets, warnings));
            (numbers, validation, choice) = (classifier.TrainedNumbers, classifier.ValidationAccuracy, classifier.Choice);
            tests = [.. sets.Tests.Select(test => clock.Test(() => Test(classifier, test)))];
        }
        else
        {
            tests = [.. sets.Tests.Select(test => TestWithoutLearning(run, test, clock, warnings))];
        }
        return new RunResult(
            RunResult.CurrentForm,
            run.Part.Protocol.Name,
            run.Data.Name,
            run.Shots,
            run.Seed,
            run.Method.Name,
            run.Method.Text,
            Settings(plan, backbone, run),
            run.Method.Method.Learns,
            run.Method.Method.Learns ? sets.Train.Count : 0,
            run.Method.Method.Learns ? sets.Validation.Count : 0,
            tests,
            numbers,
            validation,
            choice,
            clock.FitSeconds,
            clock.TestSeconds,
            [.. warnings.Distinct()],
            Library
        );
    }

    private IStudyClassifier Fit(StudyRun run, IReadOnlyList<string> classes, string template, ProtocolSets sets, List<string> warnings) =>
        run.Method.Method.Fit(
            new MethodTask(backbone, template, classes, sets.Train, sets.Validation, run.SeedOrFirst)
            {
                Device = plan.Device,
                Warn = warnings.Add,
                CancellationToken = cancellationToken,
            }
        );

    private TestFigures Test(IStudyClassifier classifier, ProtocolTest test)
    {
        if (classifier.Classes.ToHashSet(StringComparer.Ordinal).SetEquals(test.Classes))
            return Figures(classifier, test);
        using IStudyClassifier others = classifier.WithClasses(test.Classes);
        return Figures(others, test);
    }

    /// <summary>A method that learns nothing is fitted separately for each test, with the test's classes and template.</summary>
    private TestFigures TestWithoutLearning(StudyRun run, ProtocolTest test, RunClock clock, List<string> warnings)
    {
        ImageRow[] names = [.. test.Rows.DistinctBy(row => row.Label)];
        // Classes without a test image are also among those to choose from, so they borrow another class's image.
        ImageRow[] named =
        [
            .. test.Classes.Select(name => new ImageRow
            {
                ImagePath = (names.FirstOrDefault(row => row.Label == name) ?? names[0]).ImagePath,
                Label = name,
            }),
        ];
        var sets = new ProtocolSets(test.Classes, named, [], []);
        using IStudyClassifier classifier = clock.Fit(() => Fit(run, test.Classes, test.Template, sets, warnings));
        return clock.Test(() => Figures(classifier, test));
    }

    private TestFigures Figures(IStudyClassifier classifier, ProtocolTest test)
    {
        Dictionary<string, int> places = classifier
            .Classes.Select((name, place) => (name, place))
            .ToDictionary(pair => pair.name, pair => pair.place, StringComparer.Ordinal);
        LabelScore score = LabelScore.Compute(
            classifier.Probabilities(test.Rows, cancellationToken),
            [.. test.Rows.Select(row => places[row.Label])]
        );
        return new TestFigures(test.Name, test.Classes.Count, test.Rows.Count, (int)score.Right, score.Loss / test.Rows.Count);
    }

    /// <summary>Adds up the time of fitting and testing.</summary>
    private sealed class RunClock
    {
        public double FitSeconds { get; private set; }

        public double TestSeconds { get; private set; }

        public T Fit<T>(Func<T> work)
        {
            (T made, double seconds) = Timed(work);
            FitSeconds += seconds;
            return made;
        }

        public T Test<T>(Func<T> work)
        {
            (T made, double seconds) = Timed(work);
            TestSeconds += seconds;
            return made;
        }

        private static (T Made, double Seconds) Timed<T>(Func<T> work)
        {
            long began = Stopwatch.GetTimestamp();
            T made = work();
            return (made, Stopwatch.GetElapsedTime(began).TotalSeconds);
        }
    }
}
