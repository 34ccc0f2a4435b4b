namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>A reader, what it is fed and what it may do.</summary>
/// <param name="Name">For the person who repeats a case.</param>
/// <param name="Share">Its part of all cases, against those of the others.</param>
/// <param name="Make">A hostile input, decided by the random numbers alone.</param>
/// <param name="Read">Reads it as the library does, and releases what came of it.</param>
/// <param name="Documented">The exceptions that the reader's documentation names; derived ones are not meant.</param>
internal sealed record FuzzTarget(string Name, int Share, Func<Random, byte[]> Make, Action<byte[]> Read, params Type[] Documented)
{
    /// <summary>Undamaged inputs, which must be read: or else damage would only ever meet the first check.</summary>
    public byte[][] Whole { get; init; } = [];

    /// <summary>Most managed bytes that reading may allocate for each byte of the input.</summary>
    public long BytesPerByte { get; init; } = 64;

    /// <summary>And those that it may allocate whatever the input is.</summary>
    public long BytesAtLeast { get; init; } = 1 << 20;
}
