using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using Google.Protobuf;
using Microsoft.ML.Dpl.Drawing;
using Tensorboard;

namespace Microsoft.ML.Dpl.TensorBoard;

/// <summary>
/// A file of TensorBoard events: length-prefixed records with masked CRC-32C checksums, each a protobuf message <c>Event</c>. Not
/// thread-safe.
/// </summary>
/// <remarks>
/// The messages are TorchSharp's, but its <c>SummaryWriter</c> is not used: it (0.107) writes the time of a file's first record, by which
/// TensorBoard orders runs, in .NET ticks instead of seconds, and the times of all others in whole seconds, which many steps share. A test
/// fails once that is fixed.
/// </remarks>
internal sealed class EventFile : IDisposable
{
    private const string Version = "brain.Event:2";
    private const uint MaskDelta = 0xA282EAD8; // TFRecord: crc rotated right by 15 bits, plus this

    private readonly FileStream _file;

    /// <summary>
    /// Creates a new file in a folder, which is created if it is missing; TensorBoard reads all files of a folder together.
    /// </summary>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public EventFile(string folder)
    {
        Directory.CreateDirectory(folder);
        _file = Create(folder);
        Write(new Event { FileVersion = Version });
        Flush();
    }

    /// <summary>The full path of the file.</summary>
    public string FullPath => _file.Name;

    /// <summary>Appends the values of a step.</summary>
    /// <param name="step">The step's number, at least 0.</param>
    /// <param name="values">The values, as created by <see cref="EventValues"/>.</param>
    public void Add(long step, IEnumerable<Summary.Types.Value> values)
    {
        var summary = new Summary();
        summary.Value.AddRange(values);
        if (summary.Value.Count > 0)
            Write(new Event { Step = step, Summary = summary });
    }

    /// <summary>Passes all buffered data to the operating system, so that readers see it.</summary>
    public void Flush() => _file.Flush();

    public void Dispose() => _file.Dispose();

    private static FileStream Create(string folder)
    {
        // TensorBoard recognises its files by this prefix and reads them in the order of their names.
        string stem = string.Create(
            CultureInfo.InvariantCulture,
            $"events.out.tfevents.{DateTimeOffset.UtcNow.ToUnixTimeSeconds():d10}.{Environment.MachineName}.{Environment.ProcessId}"
        );
        for (int number = 0; ; number++)
        {
            string path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{stem}.{number}"));
            try
            {
                return new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read | FileShare.Delete);
            }
            catch (IOException) when (File.Exists(path))
            {
                // This process created another file in the same second: try the next number.
            }
        }
    }

    private void Write(Event message)
    {
        message.WallTime = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;
        byte[] body = message.ToByteArray();
        Span<byte> head = stackalloc byte[sizeof(ulong) + sizeof(uint)];
        BinaryPrimitives.WriteUInt64LittleEndian(head, (ulong)body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[sizeof(ulong)..], MaskedChecksum(head[..sizeof(ulong)]));
        Span<byte> tail = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(tail, MaskedChecksum(body));
        _file.Write(head);
        _file.Write(body);
        _file.Write(tail);
    }

    private static uint MaskedChecksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return unchecked(BitOperations.RotateRight(~crc, 15) + MaskDelta);
    }
}

/// <summary>The kinds of values that TensorBoard shows, as messages for an <see cref="EventFile"/>.</summary>
internal static class EventValues
{
    private const int Buckets = 30,
        ColoursWithAlpha = 4;

    /// <summary>A point of a curve.</summary>
    public static Summary.Types.Value Scalar(string tag, double value) => new() { Tag = tag, SimpleValue = (float)value };

    /// <summary>The distribution of numbers, in up to 30 buckets of equal width from the smallest to the largest.</summary>
    /// <param name="tag">The tag of the histogram.</param>
    /// <param name="numbers">One or more finite numbers.</param>
    public static Summary.Types.Value Histogram(string tag, IReadOnlyCollection<float> numbers)
    {
        double least = numbers.Min(),
            greatest = numbers.Max(),
            width = (greatest - least) / Buckets;
        var histogram = new HistogramProto
        {
            Min = least,
            Max = greatest,
            Num = numbers.Count,
            Sum = numbers.Sum(n => (double)n),
            SumSquares = numbers.Sum(n => (double)n * n),
        };
        if (width > 0)
        {
            var counts = new double[Buckets];
            foreach (float number in numbers)
                counts[Math.Min((int)((number - least) / width), Buckets - 1)]++;
            histogram.Bucket.AddRange(counts);
            // The limit of a bucket is its right edge.
            histogram.BucketLimit.AddRange(Enumerable.Range(1, Buckets).Select(i => i == Buckets ? greatest : least + i * width));
        }
        else
        {
            histogram.Bucket.Add(numbers.Count);
            histogram.BucketLimit.Add(greatest);
        }
        return new Summary.Types.Value { Tag = tag, Histo = histogram };
    }

    /// <summary>An image.</summary>
    /// <param name="tag">The tag of the image.</param>
    /// <param name="image">The image as PNG.</param>
    public static Summary.Types.Value Image(string tag, EncodedImage image) =>
        new()
        {
            Tag = tag,
            Image = new Summary.Types.Image
            {
                Width = image.Width,
                Height = image.Height,
                Colorspace = ColoursWithAlpha,
                EncodedImageString = ByteString.CopyFrom(image.Png),
            },
        };
}
