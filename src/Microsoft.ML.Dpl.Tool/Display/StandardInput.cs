namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>Lines of the standard input, which a cancellation need not wait for.</summary>
internal static class StandardInput
{
    /// <param name="cancellationToken">Ends the wait for a line.</param>
    /// <returns>Lines as they come, without their ends; empty ones are passed over.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IEnumerable<string> Lines(CancellationToken cancellationToken)
    {
        TextReader reader = Console.In;
        // The read itself cannot be ended: it is left behind on its own thread, with the process.
        while (Task.Run(() => reader.ReadLine(), CancellationToken.None).WaitAsync(cancellationToken).GetAwaiter().GetResult() is { } line)
            if (!string.IsNullOrWhiteSpace(line))
                yield return line;
    }
}
