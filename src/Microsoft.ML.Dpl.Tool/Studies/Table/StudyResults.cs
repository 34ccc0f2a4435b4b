using System.Globalization;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Studies.Table;

/// <summary>The runs of a folder.</summary>
/// <param name="Runs">In an order that does not depend on when they were run.</param>
/// <param name="Methods">Their names in the order of the plan.</param>
/// <param name="DataSets">Likewise, of all that is trained or tested on.</param>
/// <param name="Planned">How many runs the plan has; null where there is no plan in the folder.</param>
internal sealed record StudyResults(
    IReadOnlyList<RunResult> Runs,
    IReadOnlyList<string> Methods,
    IReadOnlyList<string> DataSets,
    int? Planned
)
{
    /// <summary>That runs of several versions of the library are among them, in a sentence; null: they are all of one.</summary>
    public string? MixedVersions
    {
        get
        {
            // Results from before the version was kept are of one version, as far as anyone can tell.
            string[] versions =
            [
                .. Runs.GroupBy(run => run.Library)
                    .OrderBy(group => group.Key, StringComparer.Ordinal)
                    .Select(group =>
                        string.Create(CultureInfo.InvariantCulture, $"{group.Count()} of {group.Key ?? "a version that they do not name"}")
                    ),
            ];
            return versions.Length > 1
                ? $"The runs were made by different versions of the library, whose figures may differ: {string.Join(", ", versions)}."
                : null;
        }
    }

    /// <param name="folder">Of the results.</param>
    /// <param name="warn">Is told of files that cannot be read.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">There is no run in it.</exception>
    public static StudyResults Read(string folder, Action<string> warn)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder '{folder}': name one that dpl study filled.");
        string copy = Path.Combine(folder, StudyFolder.PlanFile);
        StudyPlan? plan = File.Exists(copy) ? TryRead(copy, warn) : null;
        List<RunResult> runs = [];
        foreach (string file in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            // A file that is being written begins with a dot.
            if (Path.GetFileName(file).StartsWith('.') || file == copy)
                continue;
            if (RunResult.TryRead(file) is { } run)
                runs.Add(run);
            else
                warn($"'{file}' is no result of a run and was left out.");
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

    /// <summary>The plan's order first, and what it does not name behind it.</summary>
    private static string[] Ordered(IEnumerable<string>? planned, IEnumerable<string> run)
    {
        string[] there = [.. run.Distinct().Order(StringComparer.Ordinal)];
        return [.. (planned ?? []).Distinct().Where(there.Contains), .. there.Except(planned ?? [])];
    }

    private static StudyPlan? TryRead(string copy, Action<string> warn)
    {
        try
        {
            // No data set is read here, so that it does not matter where they lie.
            return StudyPlan.Read(copy, Path.GetDirectoryName(copy));
        }
        catch (InvalidDataException e)
        {
            warn($"{e.Message} The table goes by the results alone.");
            return null;
        }
    }
}
