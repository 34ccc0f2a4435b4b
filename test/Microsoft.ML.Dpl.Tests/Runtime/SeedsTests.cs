using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

public class SeedsTests
{
    [Fact]
    public void Seeds_depend_on_seed_purpose_and_path_and_on_nothing_else()
    {
        var all = new HashSet<ulong>();
        foreach (int seed in new[] { 0, 1, -1, int.MaxValue })
        foreach (string purpose in new[] { "a", "b", "ab" })
        foreach (long epoch in new[] { 0L, 1L, 2L })
        foreach (long row in new[] { 0L, 1L })
            Assert.True(all.Add(Seeds.Derive(seed, purpose, epoch, row)));
        Assert.Equal(Seeds.Derive(1, "a", 2, 3), Seeds.Derive(1, "a", 2, 3));
        Assert.NotEqual(Seeds.Derive(1, "a", 2, 3), Seeds.Derive(1, "a", 3, 2));
    }
}
