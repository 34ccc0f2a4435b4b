using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>Reads the images of runs, with a cache, since runs on the same data set follow each other.</summary>
/// <param name="warn">Receives warnings about the images.</param>
/// <param name="cancellationToken">Cancels the search for images.</param>
internal sealed class StudyData(Action<string> warn, CancellationToken cancellationToken)
{
    private const int MostKept = 16;

    private readonly Dictionary<(PlanDataSet Data, int? Seed), ImageSets> _read = [];

    /// <exception cref="InvalidDataException">Something is missing or cannot be read; the message names the plan's property.</exception>
    /// <exception cref="OperationCanceledException">The operation was cancelled.</exception>
    public ProtocolSets SetsFor(StudyRun run)
    {
        ImageSets sets = Read(run.Data, run.SeedOrFirst);
        if (run.Shots is int shots)
            sets = FewShotDraw.Draw(sets, shots, run.SeedOrFirst);
        IEnumerable<PlanDataSet> targets = run.Part.Source is null ? [] : run.Part.DataSets;
        return run.Part.Protocol.Divide(
            new DataRows(run.Data, sets),
            [.. targets.Select(target => new DataRows(target, Read(target, run.SeedOrFirst)))]
        );
    }

    /// <summary>Checks a run's images as far as possible without opening them.</summary>
    /// <exception cref="InvalidDataException">There are fewer than two classes to train on or to test, or a test lacks images or has images
    /// of unknown classes.</exception>
    /// <exception cref="FileNotFoundException">An image is missing.</exception>
    public void Check(StudyRun run)
    {
        ProtocolSets sets = SetsFor(run);
        string where = $"The run '{run}'";
        if (sets.Classes.Count < 2)
            throw new InvalidDataException($"{where} has {sets.Classes.Count} classes to train on: give images of at least two.");
        if (run.Shots is int shots && sets.Train.GroupBy(row => row.Label).Where(group => group.Count() < shots).ToArray() is [var few, ..])
            warn($"{where}: the class '{few.Key}' has only {few.Count()} of {shots} training images.");
        foreach (ProtocolTest test in sets.Tests)
        {
            if (test.Rows.Count == 0)
                throw new InvalidDataException($"{where} has no images for its test '{test.Name}': name some with 'test'.");
            if (test.Classes.Count < 2)
                throw new InvalidDataException(
                    $"{where} has a single class in its test '{test.Name}', '{test.Classes[0]}', so there is nothing to tell apart: give "
                        + "images of more classes, or leave the protocol out for these data."
                );
            ImageChecks.RequireKnown(test.Rows, test.Classes, $"{where}, test '{test.Name}': there are no training images of");
            ImageChecks.RequireFiles(test.Rows, $"images of the test '{test.Name}' of {run}", skipUnreadable: false);
        }
        ImageChecks.RequireFiles([.. sets.Train, .. sets.Validation], $"training images of {run}", skipUnreadable: false);
    }

    private ImageSets Read(PlanDataSet data, int seed)
    {
        (PlanDataSet, int?) key = (data, data.HasSeed ? seed : null);
        if (_read.TryGetValue(key, out ImageSets? known))
            return known;
        if (_read.Count >= MostKept)
            _read.Clear();
        return _read[key] = data.Read(seed, warn, cancellationToken);
    }
}
