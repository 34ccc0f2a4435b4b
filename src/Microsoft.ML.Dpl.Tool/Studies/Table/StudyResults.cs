using System.Globalization;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>The results in a folder.</summary>
/// <param name="Runs">The runs, in an order that does not depend on when they were run.</param>
/// <param name="Methods">Names of the methods in the order of the plan.</param>
/// <param name="DataSets">Names of all data sets that are trained or tested on, in the order of the plan.</param>
/// <param name="Planned">Number of runs in the plan; null if there is no plan in the folder.</param>
internal sealed record StudyResults(
    IReadOnlyList<RunResult> Runs,
    IReadOnlyList<string> Methods,
    IReadOnlyList<string> DataSets,
    int? Planned
)
{
    /// <summary>A sentence saying that the runs were made by several versions of the library; null if they were all made by one.</summary>
    public string? MixedVersions =>
        // Older results do not name their version and are counted as one version.
        Mixed(
            "by different versions of the library",
            "of",
            Runs,
            run => run.Library,
            run => run.Library ?? "a version that they do not name"
        );

    /// <summary>Sentences saying which settings differ between the runs: the CLIP, the device, the number of threads, and the template of
    /// each data set; empty if none does.</summary>
    public IReadOnlyList<string> MixedSettings
    {
        get
        {
            string?[] all =
            [
                // A CLIP may have been moved, so its name does not count.
                Mixed(
                    "with different CLIPs",
                    "with",
                    Runs,
                    run => run.Settings.ClipSha256,
                    run => $"{run.Settings.Clip} (SHA-256 {run.Settings.ClipSha256})"
                ),
                Mixed("on different devices", "on", Runs, run => run.Settings.Device, run => run.Settings.Device),
                Mixed(
                    "with different numbers of threads",
                    "with",
                    Runs,
                    run => Whole(run.Settings.Threads),
                    run => Whole(run.Settings.Threads)
                ),
                .. DataSets.Select(name =>
                    Mixed(
                        $"with different templates for '{name}'",
                        "with",
                        Runs.Where(run => run.Data == name),
                        run => run.Settings.Template,
                        run => $"'{run.Settings.Template}'"
                    )
                ),
            ];
            return [.. all.OfType<string>()];
        }
    }

    /// <param name="folder">Folder of the results.</param>
    /// <param name="warn">Receives warnings about files that cannot be read.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">The folder contains no results.</exception>
    public static StudyResults Read(string folder, Action<string> warn)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder '{folder}': name one that dpl study filled.");
        string copy = Path.Combine(folder, StudyFolder.PlanFile);
        StudyPlan? plan = File.Exists(copy) ? TryRead(copy, warn) : null;
        List<RunResult> runs = [];
        foreach (string file in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            // Names of files that are being written start with a dot.
            if (Path.GetFileName(file).StartsWith('.') || file == copy)
                continue;
            if (RunResult.TryRead(file) is { } run)
                runs.Add(run);
            else
                warn($"'{file}' is not a result of a run and was left out.");
        }
        if (runs.Count == 0)
            throw new InvalidDataException($"'{folder}' has no result of a run yet: fill it with dpl study.");
        string[] methods = Ordered(
                plan?.Parts.SelectMany(part => part.Methods).Select(method => method.Name),
                runs.Select(run => run.Method)
            ),
            data = Ordered(
                plan?.Parts.SelectMany(part => part.Source is { } source ? part.DataSets.Prepend(source) : part.DataSets)
                    .Select(set => set.Name),
                runs.SelectMany(run => run.Tests.Select(test => test.Name).Prepend(run.Data))
            );
        RunResult[] ordered =
        [
            .. runs.OrderBy(run => run.Protocol, StringComparer.Ordinal)
                .ThenBy(run => Array.IndexOf(data, run.Data))
                .ThenBy(run => run.Shots)
                .ThenBy(run => run.Seed)
                .ThenBy(run => Array.IndexOf(methods, run.Method)),
        ];
        return new StudyResults(ordered, methods, data, plan?.Runs.Count);
    }

    /// <summary>Returns a sentence with the number of runs for each value; null if all runs have the same.</summary>
    /// <param name="how">How the runs were made.</param>
    /// <param name="joint">The word between a number of runs and their value.</param>
    /// <param name="runs">The runs to consider.</param>
    /// <param name="value">The value of a run.</param>
    /// <param name="shown">The value of a run as text.</param>
    private static string? Mixed(
        string how,
        string joint,
        IEnumerable<RunResult> runs,
        Func<RunResult, string?> value,
        Func<RunResult, string> shown
    )
    {
        string[] values =
        [
            .. runs.GroupBy(value)
                .OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => $"{Whole(group.Count())} {joint} {shown(group.First())}"),
        ];
        return values.Length > 1 ? $"The runs were made {how}, whose figures may differ: {string.Join(", ", values)}." : null;
    }

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Sorts in the plan's order, followed by what the plan does not name.</summary>
    private static string[] Ordered(IEnumerable<string>? planned, IEnumerable<string> run)
    {
        string[] there = [.. run.Distinct().Order(StringComparer.Ordinal)];
        return [.. (planned ?? []).Distinct().Where(there.Contains), .. there.Except(planned ?? [])];
    }

    private static StudyPlan? TryRead(string copy, Action<string> warn)
    {
        try
        {
            // Any folder will do for the data sets, since none is read here.
            return StudyPlan.Read(copy, Path.GetDirectoryName(copy));
        }
        catch (InvalidDataException e)
        {
            warn($"{e.Message} The table uses only the results.");
            return null;
        }
    }
}
