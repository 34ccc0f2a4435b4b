using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Generators of methods, one for each purpose, so that one more of them shifts no other.</summary>
internal static class StudySeeds
{
    /// <param name="purpose">What is drawn.</param>
    /// <param name="seed">The run's.</param>
    public static Random Random(string purpose, int seed) =>
        new(BitConverter.ToInt32(SHA256.HashData(Encoding.UTF8.GetBytes($"{purpose}/{seed}"))));
}
