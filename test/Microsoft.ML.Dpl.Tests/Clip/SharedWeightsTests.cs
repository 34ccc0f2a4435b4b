using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.Clip;

public sealed class SharedWeightsTests
{
    [Fact]
    public void ThreadsThatComeTogetherLoadOnce()
    {
        object key = new();
        int loads = 0;
        using var together = new Barrier(4);
        var leases = new Lease<Counted>[4];
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(i => new Thread(() =>
                {
                    together.SignalAndWait();
                    leases[i] = SharedWeights.Rent(key, () =>
                    {
                        Interlocked.Increment(ref loads);
                        Thread.Sleep(20);
                        return new Counted();
                    });
                })),
        ];
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();

        Assert.Equal(1, loads);
        Counted value = leases[0].Value;
        foreach (Lease<Counted> lease in leases)
        {
            Assert.Equal(0, value.Disposals);
            lease.Dispose();
            lease.Dispose();
        }
        Assert.Equal(1, value.Disposals);
    }

    [Fact]
    public void AFailedLoadIsTriedAgainByTheNext()
    {
        object key = new();
        Assert.Throws<IOException>(() => SharedWeights.Rent<Counted>(key, () => throw new IOException("gone")));
        using Lease<Counted> lease = SharedWeights.Rent(key, () => new Counted());
        Assert.Equal(0, lease.Value.Disposals);
    }

    private sealed class Counted : IDisposable
    {
        public int Disposals { get; private set; }

        public void Dispose() => Disposals++;
    }
}
