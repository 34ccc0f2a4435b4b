namespace Drawing;

/// <summary>A separate stream of random numbers for each image: SplitMix64 (Steele, Lea, Flood 2014), seeded with the seed and the
/// index.</summary>
internal struct SceneRandom
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private ulong _state;

    public SceneRandom(int seed, long index) => _state = Mix(Mix(unchecked((ulong)seed + Golden)) ^ unchecked((ulong)index * Golden));

    /// <summary>64 random bits.</summary>
    public ulong NextBits() => Mix(_state += Golden);

    /// <summary>A uniformly distributed integer from 0 to <paramref name="count"/> − 1.</summary>
    public int Next(int count) => (int)((NextBits() >> 32) * (ulong)count >> 32);

    /// <summary>A uniformly distributed number from <paramref name="low"/> to <paramref name="high"/>.</summary>
    public float Next(float low, float high) => low + (high - low) * (NextBits() >> 40) / (1 << 24);

    /// <summary>Returns true with the probability <paramref name="share"/>.</summary>
    public bool Chance(float share) => Next(0f, 1f) < share;

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
