using System.Globalization;
using System.Text;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>One method, trained once, with its tests.</summary>
/// <param name="Part">Of the plan.</param>
/// <param name="Data">What it is trained on.</param>
/// <param name="Shots">Training images of each class; null: all there are, or the method learns nothing.</param>
/// <param name="Seed">Of draw and fit; null where neither the method nor the data depends on it.</param>
/// <param name="Method">What is trained.</param>
internal sealed record StudyRun(PlanPart Part, PlanDataSet Data, int? Shots, int? Seed, PlanMethod Method)
{
    private const int LongestName = 60;

    /// <summary>Below the study's folder: readable, the same on every system, and no other run's.</summary>
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

    /// <summary>The seed that data is read and drawn by.</summary>
    public int SeedOrFirst => Seed ?? Part.Seeds[0];

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Part.Protocol.Name} {Data.Name}{(Shots is int shots ? $", {shots} shots" : "")}"
                + $"{(Seed is int seed ? $", seed {seed}" : "")}, {Method.Name}"
        );

    /// <summary>All runs of a part. What learns nothing is run once for all shots and seeds, unless each seed has test images of its
    /// own.</summary>
    public static IEnumerable<StudyRun> From(PlanPart part) =>
        (
            from data in part.Source is { } source ? [source] : part.DataSets
            from shots in part.Shots
            from seed in part.Seeds
            from method in part.Methods
            select method.Method.Learns
                ? new StudyRun(part, data, shots, seed, method)
                : new StudyRun(part, data, null, data.HasSeed ? seed : null, method)
        ).DistinctBy(run => run.Method.Method.Learns ? new object() : run);

    private static string Readable(string name)
    {
        string readable = string.Concat(
            name.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_' ? c : '-')
        );
        if (readable == name && name[0] != '.')
            return name;
        // Names that differ only in what a file system may not take get different files all the same.
        string hash = Sha256.Compute(Encoding.UTF8.GetBytes(name))[..6];
        return $"{readable[..Math.Min(readable.Length, LongestName)].TrimStart('.')}~{hash}";
    }
}
