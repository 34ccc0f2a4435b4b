using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>File formats of embedding vectors.</summary>
internal enum EmbeddingFormat
{
    /// <summary>One array [rows, width] in NumPy's format 1.0, float32 in C order; a row that could not be read is NaN, so that row i is
    /// always input i.</summary>
    Npy,

    /// <summary>A header, then for each row its name and its numbers; rows that could not be read are left out.</summary>
    Csv,

    /// <summary>One JSON object per line, with an error instead of the numbers if a row could not be read.</summary>
    Jsonl,
}

/// <summary>Writes vectors, one row at a time, to a seekable stream that is left open.</summary>
internal abstract class EmbeddingWriter : IDisposable
{
    private EmbeddingWriter() { }

    /// <param name="format">The file format.</param>
    /// <param name="stream">An empty stream.</param>
    /// <param name="width">Number of floats in a vector.</param>
    /// <param name="name">The column or member that holds a row's name: path or text.</param>
    public static EmbeddingWriter Create(EmbeddingFormat format, Stream stream, int width, string name) =>
        format switch
        {
            EmbeddingFormat.Npy => new Npy(stream, width),
            EmbeddingFormat.Csv => new Csv(stream, width, name),
            _ => new JsonLines(stream, name),
        };

    /// <param name="name">The row's name as the user gave it.</param>
    /// <param name="vector">The embedding; null if the row could not be read.</param>
    /// <param name="error">Why the row could not be read; otherwise null.</param>
    public abstract void Write(string name, float[]? vector, string? error);

    /// <summary>Flushes the output and completes the file.</summary>
    public abstract void Dispose();

    private sealed class Npy : EmbeddingWriter
    {
        private readonly Stream _stream;
        private readonly int _width,
            _headerLength;
        private readonly byte[] _row;
        private long _rows;

        public Npy(Stream stream, int width)
        {
            (_stream, _width, _row) = (stream, width, new byte[width * sizeof(float)]);
            // The number of rows is known only at the end, so reserve space for the longest possible header.
            byte[] longest = Header(long.MaxValue);
            _headerLength = longest.Length;
            stream.Write(longest);
        }

        public override void Write(string name, float[]? vector, string? error)
        {
            for (int i = 0; i < _width; i++)
                BinaryPrimitives.WriteSingleLittleEndian(_row.AsSpan(i * sizeof(float)), vector?[i] ?? float.NaN);
            _stream.Write(_row);
            _rows++;
        }

        public override void Dispose()
        {
            byte[] header = Header(_rows);
            // NumPy allows the header to be padded with spaces before its final line feed.
            byte[] padded = [.. header[..^1], .. Enumerable.Repeat((byte)' ', _headerLength - header.Length), header[^1]];
            BinaryPrimitives.WriteUInt16LittleEndian(
                padded.AsSpan(NpyFormat.MagicLength + NpyFormat.VersionLength),
                checked((ushort)(_headerLength - NpyFormat.MagicLength - NpyFormat.VersionLength - sizeof(ushort)))
            );
            _stream.Position = 0;
            _stream.Write(padded);
        }

        private byte[] Header(long rows) => NpyFormat.Header("<f4", [rows, _width]);
    }

    private sealed class Csv : EmbeddingWriter
    {
        private readonly StreamWriter _output;

        public Csv(Stream stream, int width, string name)
        {
            _output = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true)
            {
                NewLine = "\n",
            };
            _output.WriteLine($"{name},{string.Join(',', Enumerable.Range(0, width))}");
        }

        public override void Write(string name, float[]? vector, string? error)
        {
            if (vector is not null)
                _output.WriteLine(
                    $"{CsvText.Field(name)},{string.Join(',', vector.Select(number => number.ToString(CultureInfo.InvariantCulture)))}"
                );
        }

        public override void Dispose() => _output.Dispose();
    }

    private sealed class JsonLines(Stream stream, string named) : EmbeddingWriter
    {
        private readonly StreamWriter _output = new(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true)
        {
            NewLine = "\n",
        };

        public override void Write(string name, float[]? vector, string? error)
        {
            var row = new Dictionary<string, object> { [named] = name };
            if (vector is not null)
                row["embedding"] = vector;
            if (error is not null)
                row["error"] = error;
            _output.WriteLine(JsonSerializer.Serialize(row, ToolJson.Line));
        }

        public override void Dispose() => _output.Dispose();
    }
}
