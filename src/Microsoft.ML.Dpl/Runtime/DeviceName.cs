using System.Globalization;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Parses device names: <c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>, ignoring case.</summary>
/// <remarks>The command-line tool compiles this file too, so that it accepts the same names.</remarks>
internal static class DeviceName
{
    /// <summary>All names, for messages.</summary>
    public const string Choices = "cpu, cuda or cuda:n";

    /// <param name="name">The name; surrounding white space is ignored.</param>
    /// <param name="unnumbered">The GPU number that <c>cuda</c> without a number stands for.</param>
    /// <param name="ordinal">The GPU's number from 0; null for the CPU.</param>
    /// <returns>Whether the name is valid.</returns>
    public static bool TryParse(string name, int unnumbered, out int? ordinal)
    {
        name = name.Trim().ToLowerInvariant();
        ordinal = name == "cuda" ? unnumbered : null;
        if (name is "cpu" or "cuda")
            return true;
        if (
            !name.StartsWith("cuda:", StringComparison.Ordinal)
            || !int.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
        )
            return false;
        ordinal = number;
        return true;
    }
}
