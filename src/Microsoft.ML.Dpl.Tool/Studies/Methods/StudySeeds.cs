using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Random number generators of the methods, one per purpose, so that adding another one does not change the existing
/// sequences.</summary>
internal static class StudySeeds
{
    /// <param name="purpose">What is drawn, as part of the seed.</param>
    /// <param name="seed">The seed of the run.</param>
    public static Random Random(string purpose, int seed) =>
        new(BitConverter.ToInt32(SHA256.HashData(Encoding.UTF8.GetBytes($"{purpose}/{seed}"))));
}
