namespace Microsoft.ML.Dpl.Benchmarks.Evidence;

/// <summary>How far two searches of one task with different draws and seeds agree.</summary>
/// <param name="Alike">The share of layers with the same length in both, 0 to 1.</param>
/// <param name="ByChance">The expected share, 0 to 1, if each search's lengths were assigned at random to the layers of their
/// tower.</param>
internal readonly record struct SearchAgreement(double Alike, double ByChance)
{
    /// <summary>Compares all pairs of searches of the same task by the same method.</summary>
    public static IReadOnlyList<SearchAgreement> Compute(IEnumerable<EvidenceRun> runs) =>
        [
            .. runs.Where(run => run.Searched is not null)
                .GroupBy(run => (run.Task, run.Method))
                .SelectMany(group =>
                    group.SelectMany(run => group.Where(other => other.Seed > run.Seed).Select(other => Between(run, other)))
                ),
        ];

    private static SearchAgreement Between(EvidenceRun first, EvidenceRun second)
    {
        PromptConfiguration one = PromptConfiguration.Parse(first.Searched!),
            other = PromptConfiguration.Parse(second.Searched!);
        (double Alike, double ByChance) text = Layers(one.Text, other.Text),
            image = Layers(one.Image, other.Image);
        int layers = one.Text.Count + one.Image.Count;
        return new SearchAgreement((text.Alike + image.Alike) / layers, (text.ByChance + image.ByChance) / layers);
    }

    /// <summary>For one tower: the number of layers alike, and the number expected after a random assignment.</summary>
    private static (double Alike, double ByChance) Layers(IReadOnlyList<int> one, IReadOnlyList<int> other) =>
        (
            one.Zip(other).Count(pair => pair.First == pair.Second),
            one.Sum(length => other.Count(candidate => candidate == length)) / (double)one.Count
        );
}
