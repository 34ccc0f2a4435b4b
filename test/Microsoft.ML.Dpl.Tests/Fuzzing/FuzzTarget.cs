namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>A reader under test, its inputs, and what it is allowed to do.</summary>
/// <param name="Name">The target's name, used to run a case again.</param>
/// <param name="Share">The target's share of all cases, relative to the other targets' shares.</param>
/// <param name="Make">Creates a damaged input that depends on the random numbers alone.</param>
/// <param name="Read">Reads an input as the library does, and disposes the result.</param>
/// <param name="Documented">The exact types of the exceptions that the reader's documentation names; derived types are not allowed.</param>
internal sealed record FuzzTarget(string Name, int Share, Func<Random, byte[]> Make, Action<byte[]> Read, params Type[] Documented)
{
    /// <summary>Undamaged inputs, which must be accepted: otherwise damaged ones would never get past the first check.</summary>
    public byte[][] Whole { get; init; } = [];

    /// <summary>The largest number of managed bytes that reading may allocate per byte of input.</summary>
    public long BytesPerByte { get; init; } = 64;

    /// <summary>The number of managed bytes that reading may allocate in addition, whatever the input is.</summary>
    public long BytesAtLeast { get; init; } = 1 << 20;
}
