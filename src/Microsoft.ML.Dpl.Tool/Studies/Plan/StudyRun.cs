using System.Globalization;
using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>One training of a method, with its tests.</summary>
/// <param name="Part">The part of the plan that the run belongs to.</param>
/// <param name="Data">The data set to train on.</param>
/// <param name="Shots">Number of training images per class; null: all images, or the method learns nothing.</param>
/// <param name="Seed">Seed of the draw and the fit; null if neither the method nor the data depends on it.</param>
/// <param name="Method">The method to train.</param>
internal sealed record StudyRun(PlanPart Part, PlanDataSet Data, int? Shots, int? Seed, PlanMethod Method)
{
    private const int LongestName = 60;

    /// <summary>Path of the result file in the study's folder: readable, the same on every system, and unique among the runs.</summary>
    public string FileName
    {
        get
        {
            string draw = string.Create(
                CultureInfo.InvariantCulture,
                $"{(Shots is int shots ? $"{shots}-shot." : "")}{(Seed is int seed ? $"seed-{seed}." : "")}"
            );
            return $"{Part.Protocol.Name}/{Readable(Data.Name)}/{draw}{Readable(Method.Name)}.json";
        }
    }

    /// <summary>The seed for reading and drawing data.</summary>
    public int SeedOrFirst => Seed ?? Part.Seeds[0];

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Part.Protocol.Name} {Data.Name}{(Shots is int shots ? $", {shots} shots" : "")}"
                + $"{(Seed is int seed ? $", seed {seed}" : "")}, {Method.Name}"
        );

    /// <summary>Returns all runs of a part. A method that learns nothing is run once for all shots and seeds, unless the data has separate
    /// files for each seed.</summary>
    public static IEnumerable<StudyRun> From(PlanPart part)
    {
        // A run on a source tests on all other data sets, too.
        bool testsHaveSeed = part.Source is not null && part.DataSets.Any(data => data.HasSeed);
        return (
            from data in part.Source is { } source ? [source] : part.DataSets
            from shots in part.Shots
            from seed in part.Seeds
            from method in part.Methods
            select method.Method.Learns
                ? new StudyRun(part, data, shots, seed, method)
                : new StudyRun(part, data, null, data.HasSeed || testsHaveSeed ? seed : null, method)
        ).DistinctBy(run => run.Method.Method.Learns ? new object() : run);
    }

    private static string Readable(string name)
    {
        string readable = string.Concat(
            name.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' ? c : '-')
        );
        if (readable == name && name[0] != '.')
            return name;
        // The hash keeps the files of names apart that differ only in replaced characters.
        string hash = Sha256.Compute(Encoding.UTF8.GetBytes(name))[..6];
        return $"{readable[..Math.Min(readable.Length, LongestName)].TrimStart('.')}~{hash}";
    }
}
