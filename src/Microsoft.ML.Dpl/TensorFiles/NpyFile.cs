using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>One array in NumPy's .npy format. Opening checks the whole header against the file's length and reads no element, so no more
/// memory is ever taken than the file has bytes.</summary>
internal sealed class NpyFile : IDisposable
{
    private readonly ByteStore _bytes;
    private readonly NpyHeader _header;
    private readonly string _location;

    private NpyFile(ByteStore bytes, string location)
    {
        (_bytes, _location) = (bytes, location);
        _header = NpyHeader.Read(bytes, location);
        long data = bytes.Length - _header.DataStart;
        if (data < _header.DataLength)
            throw new InvalidDataException(
                $"{location}: an array of shape [{string.Join(", ", Shape)}] in {Type} needs {_header.DataLength} bytes, but {data} "
                    + "follow the header; it is cut short or damaged."
            );
        if (data > _header.DataLength)
            throw new InvalidDataException(
                $"{location}: {data - _header.DataLength} bytes follow the array; this is more than one array, or it is damaged."
            );
    }

    public ScalarType Type => _header.Type;

    public IReadOnlyList<long> Shape => _header.Shape;

    /// <summary>Opens a file, which stays open until disposal.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no valid .npy file of a kind that is read.</exception>
    public static NpyFile Open(string path) => Open(ByteStore.Open(path), path);

    /// <summary>Reads from memory, which must not change before disposal.</summary>
    /// <exception cref="InvalidDataException">The bytes are no valid .npy file of a kind that is read.</exception>
    public static NpyFile FromBytes(ReadOnlyMemory<byte> bytes, string location) => Open(ByteStore.Over(bytes), location);

    /// <summary>The array in its stored type, on the CPU, the last index running fastest whatever the file's order. The caller owns
    /// it.</summary>
    /// <exception cref="InvalidDataException">It is over 2 GB.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public Tensor Read()
    {
        if (_header.DataLength > int.MaxValue)
            throw new InvalidDataException(
                $"{_location}: the array has {_header.DataLength} bytes; one array can have at most {int.MaxValue}."
            );
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        long[] shape = [.. Shape];
        Tensor tensor = empty(_header.IsFortran ? [.. shape.Reverse()] : shape, Type, CPU);
        if (_header.DataLength > 0)
            _bytes.Read(_header.DataStart, tensor.bytes);
        if (_header.IsFortran && shape.Length > 1)
            tensor = tensor.permute([.. Enumerable.Range(0, shape.Length).Reverse().Select(i => (long)i)]).contiguous();
        return tensor.MoveToOuterDisposeScope();
    }

    /// <summary>Writes at the stream's position, in C order, and leaves the stream open.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="array">On any device; stays the caller's.</param>
    /// <exception cref="ArgumentException">The array's type is not one of the format's.</exception>
    public static void Write(Stream stream, Tensor array)
    {
        stream.Write(NpyHeader.Write(array.dtype, array.shape));
        if (array.NumberOfElements == 0)
            return;
        using var scope = NewDisposeScope();
        stream.Write(array.detach().cpu().contiguous().bytes);
    }

    public void Dispose() => _bytes.Dispose();

    private static NpyFile Open(ByteStore bytes, string location)
    {
        try
        {
            return new NpyFile(bytes, location);
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }
}
