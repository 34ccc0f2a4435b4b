using TorchSharp;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Derives independent generators from one seed, so that no global random state is used and adding one consumer does not shift
/// another.</summary>
internal static class Seeds
{
    /// <summary>A 64-bit seed for <paramref name="purpose"/>: FNV-1a over the name, then one SplitMix64 round per number (Steele, Lea,
    /// Flood 2014).</summary>
    public static ulong Derive(int seed, string purpose, params ReadOnlySpan<long> path)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in purpose)
            hash = (hash ^ c) * 1099511628211;
        hash = Mix(hash ^ unchecked((ulong)seed));
        foreach (long number in path)
            hash = Mix(hash + unchecked((ulong)number));
        return hash;
    }

    /// <summary>A managed generator for shuffles and augmentation parameters.</summary>
    public static Random Random(int seed, string purpose, params ReadOnlySpan<long> path) =>
        new(unchecked((int)(Derive(seed, purpose, path) >> 32)));

    /// <summary>A CPU torch generator for initial values. The caller disposes it.</summary>
    public static torch.Generator Generator(int seed, string purpose) => new(Derive(seed, purpose) >> 1, torch.CPU);

    private static ulong Mix(ulong z)
    {
        z += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
