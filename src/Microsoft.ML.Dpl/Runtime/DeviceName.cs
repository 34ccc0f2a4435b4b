using System.Globalization;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>How devices are named: <c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>, in any case.</summary>
/// <remarks>The command compiles this file, too, so that it takes the same names.</remarks>
internal static class DeviceName
{
    /// <summary>All names, for messages.</summary>
    public const string Choices = "cpu, cuda or cuda:n";

    /// <param name="name">What was given; space around it does not count.</param>
    /// <param name="unnumbered">The GPU that <c>cuda</c> alone means.</param>
    /// <param name="ordinal">The GPU's number from 0; null for the CPU.</param>
    /// <returns>Whether it is a name at all.</returns>
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
