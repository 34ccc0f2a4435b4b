using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>The standard output for long streams: unlike the console's writer it fails once the reader has closed the pipe, as with <c>|
/// head</c>.</summary>
internal static class StandardOutput
{
    private const int BrokenPipe = 32; // EPIPE on Linux and macOS

    /// <returns>A writer to the pipe, or the console's own writer if there is no pipe. The caller disposes it.</returns>
    public static TextWriter Open()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
            return new Borrowed(Console.Out);
        var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        // FileStream keeps its own position, so it and other processes that write to the same file would overwrite each other's output.
        if (stream.CanSeek)
            return new Borrowed(Console.Out);
        return new StreamWriter(stream, Console.OutputEncoding) { AutoFlush = true };
    }

    /// <summary>Whether a write failed because the reader has closed the pipe.</summary>
    public static bool IsClosed(IOException exception) => !OperatingSystem.IsWindows() && exception.HResult == BrokenPipe;

    /// <summary>Wraps the console's writer so that disposing the wrapper does not close it.</summary>
    private sealed class Borrowed(TextWriter writer) : TextWriter
    {
        public override System.Text.Encoding Encoding => writer.Encoding;

        public override void Write(char value) => writer.Write(value);

        public override void Write(string? value) => writer.Write(value);

        public override void Write(char[] buffer, int index, int count) => writer.Write(buffer, index, count);

        public override void Flush() => writer.Flush();
    }
}

/// <summary>Reads lines of the standard input so that cancellation need not wait for the next line.</summary>
internal static class StandardInput
{
    /// <param name="cancellationToken">Cancels the wait for a line.</param>
    /// <returns>Lines as they arrive, without line endings; blank lines are skipped.</returns>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public static IEnumerable<string> Lines(CancellationToken cancellationToken)
    {
        TextReader reader = Console.In;
        // The read itself cannot be cancelled, so after a cancellation it stays blocked on its own thread until the process ends.
        while (Task.Run(() => reader.ReadLine(), CancellationToken.None).WaitAsync(cancellationToken).GetAwaiter().GetResult() is { } line)
            if (!string.IsNullOrWhiteSpace(line))
                yield return line;
    }
}
