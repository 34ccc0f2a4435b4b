using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.Dpl.Tool.Display;

/// <summary>The standard output for long streams: unlike the console's writer it fails once nobody reads any more, as behind <c>|
/// head</c>.</summary>
internal static class StandardOutput
{
    private const int BrokenPipe = 32; // EPIPE on Linux and macOS

    /// <returns>The console's own writer where there is no pipe. The caller disposes it.</returns>
    public static TextWriter Open()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
            return new Borrowed(Console.Out);
        var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        // A file stream would write a file from where it thinks that it is, and not move the place where others go on.
        if (stream.CanSeek)
            return new Borrowed(Console.Out);
        return new StreamWriter(stream, Console.OutputEncoding) { AutoFlush = true };
    }

    /// <summary>Whether that is why something could not be written.</summary>
    public static bool IsClosed(IOException exception) => !OperatingSystem.IsWindows() && exception.HResult == BrokenPipe;

    /// <summary>The console's writer outlives those who use it.</summary>
    private sealed class Borrowed(TextWriter writer) : TextWriter
    {
        public override System.Text.Encoding Encoding => writer.Encoding;

        public override void Write(char value) => writer.Write(value);

        public override void Write(string? value) => writer.Write(value);

        public override void Write(char[] buffer, int index, int count) => writer.Write(buffer, index, count);

        public override void Flush() => writer.Flush();
    }
}

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
