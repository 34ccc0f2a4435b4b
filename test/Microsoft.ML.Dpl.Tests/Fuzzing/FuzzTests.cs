using System.Globalization;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>
/// Fuzzes every reader of untrusted bytes with damaged inputs: no crash, no hang, memory within a multiple of the input, and no exception
/// that the reader's documentation does not name. DPL_FUZZ_CASES sets the number of cases over all readers (default 2,000), DPL_FUZZ_SEED
/// the seed (default 1), and DPL_FUZZ_CASE=reader:number runs a single case.
/// </summary>
[Collection(RunsAlone.Name)]
public sealed class FuzzTests(FuzzTargets targets, ITestOutputHelper output) : IClassFixture<FuzzTargets>
{
    private const int DefaultCases = 2000,
        EnoughForBoth = 40;

    /// <summary>Native memory cannot be measured per call, so this limits the process's growth in bytes while one reader is
    /// fuzzed.</summary>
    private const long MostResident = 1L << 30;

    public static TheoryData<string> Names => new(FuzzTargets.Names);

    [SkippableTheory, MemberData(nameof(Names))]
    public void Hostile_bytes_are_read_or_refused(string name)
    {
        FuzzTarget target = targets.Named(name);
        Assert.All(target.Whole, target.Read);
        int seed = Setting("DPL_FUZZ_SEED") ?? 1;
        var run = new FuzzRun(target, seed);
        if (Environment.GetEnvironmentVariable("DPL_FUZZ_CASE") is { Length: > 0 } single)
        {
            string[] parts = single.Split(':');
            Skip.If(parts[0] != name, $"only {single} was asked for");
            run.Run(int.Parse(parts[1], CultureInfo.InvariantCulture), 1);
            return;
        }
        int all = Setting("DPL_FUZZ_CASES") ?? DefaultCases,
            count = (int)Math.Ceiling((double)all * target.Share / targets.Shares);
        run.Run(0, count);
        output.WriteLine(
            $"{name}: {count} cases, {run.Refused} refused, {run.Accepted} read; most allocated {run.MostAllocated:N0} bytes, "
                + $"resident memory grew by {run.MostResident >> 20} MiB at most."
        );
        Assert.Equal(count, run.Refused + run.Accepted);
        if (count >= EnoughForBoth)
            Assert.NotEqual(0, run.Refused);
        Assert.InRange(run.MostResident, long.MinValue, MostResident);
        targets.AssertNothingLeft();
    }

    private static int? Setting(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
