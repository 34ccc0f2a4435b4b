using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Runtime;

[Collection(RunsAlone.Name)]
public class WorkerTeamTests
{
    [Fact]
    public void Every_part_is_done_once_on_a_thread_of_its_own()
    {
        using var team = new WorkerTeam(3, 1);
        var threads = new int[3];
        for (int round = 0; round < 20; round++)
        {
            var calls = new int[3];
            team.Run(i =>
            {
                Interlocked.Increment(ref calls[i]);
                threads[i] = Environment.CurrentManagedThreadId;
            });
            Assert.All(calls, n => Assert.Equal(1, n));
        }
        Assert.Equal(3, threads.Distinct().Count());
        Assert.DoesNotContain(Environment.CurrentManagedThreadId, threads);
    }

    [Fact]
    public void The_first_parts_exception_comes_out_after_all_have_ended_and_the_team_works_on()
    {
        using var team = new WorkerTeam(3, 1);
        int ended = 0;
        var thrown = Assert.Throws<InvalidOperationException>(() =>
            team.Run(i =>
            {
                Interlocked.Increment(ref ended);
                if (i > 0)
                    throw new InvalidOperationException($"part {i}");
            })
        );
        Assert.Equal("part 1", thrown.Message);
        Assert.Equal(3, ended);
        team.Run(_ => Interlocked.Increment(ref ended));
        Assert.Equal(6, ended);
    }

    [SkippableFact]
    public void Workers_threads_are_limited_and_the_callers_are_not()
    {
        LibTorch.EnsureLoaded();
        Skip.IfNot(NativeThreads.CanLimit, "This libtorch does not let a thread's number of threads be set.");
        int before = get_num_threads(),
            within = 0;
        using (var team = new WorkerTeam(1, 1))
            team.Run(_ => within = get_num_threads());
        Assert.Equal(1, within);
        Assert.Equal(before, get_num_threads());
    }

    [SkippableFact]
    public void A_lifted_limit_gives_the_threads_of_before_all_limits()
    {
        LibTorch.EnsureLoaded();
        Skip.IfNot(NativeThreads.CanLimit, "This libtorch does not let a thread's number of threads be set.");
        int before = get_num_threads();
        using (NativeThreads.LimitCallingThread(before + 2))
        using (NativeThreads.LimitCallingThread(before + 1))
        {
            using (NativeThreads.LiftLimit())
                Assert.Equal(before, get_num_threads());
            Assert.Equal(before + 1, get_num_threads());
        }
        using (NativeThreads.LiftLimit())
            Assert.Equal(before, get_num_threads());
        Assert.Equal(before, get_num_threads());
    }
}
