using System.Globalization;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using Microsoft.ML.Dpl.Tool.Data;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tool.Tests.Data;

/// <summary>Damaged split files are either read or refused with the documented exception.</summary>
public sealed class HostileSplitFileTests(ITestOutputHelper output)
{
    private static readonly byte[] Whole =
        """{"train": [["a/1.jpg", 0, "a"], ["b/1.jpg", 1, "b"]], "val": [["a/2.jpg", 0, "a"]], "test": [["b/2.jpg", 1, "b"]]}"""u8.ToArray();

    [Fact]
    public void Hostile_splits_are_read_or_refused()
    {
        int cases = int.TryParse(Environment.GetEnvironmentVariable("DPL_FUZZ_CASES"), CultureInfo.InvariantCulture, out int all)
                ? Math.Max(all / 20, 100)
                : 100,
            read = 0;
        string file = Path.Combine(Directory.CreateTempSubdirectory("dpl-split-").FullName, "split_zhou_x.json");
        try
        {
            var mutator = new Mutator(Whole);
            for (int i = 0; i < cases; i++)
            {
                byte[] bytes = mutator.Next(new Random(i));
                File.WriteAllBytes(file, bytes);
                long before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    ImageSets sets = SplitFile.Read(file, null);
                    Assert.NotEmpty(sets.All);
                    read++;
                }
                catch (Exception e) when (e is not InvalidDataException)
                {
                    Assert.Fail($"Case {i} gives {e}");
                }
                catch (InvalidDataException e)
                {
                    Assert.Contains(file, e.Message);
                }
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, (1 << 20) + 64 * bytes.Length);
            }
            output.WriteLine($"reliability: split files: {cases} cases, {cases - read} refused, {read} read.");
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
        }
    }

    [Theory]
    [InlineData("""{"train": [["a\u0000.jpg", 0, "a"]]}""")]
    [InlineData("""{"train": [["a.jpg", 0, "\ud800"]]}""")]
    public void What_no_path_or_name_can_hold_is_refused(string json)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, json);
            Assert.Contains(file, Assert.Throws<InvalidDataException>(() => SplitFile.Read(file, null)).Message);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
