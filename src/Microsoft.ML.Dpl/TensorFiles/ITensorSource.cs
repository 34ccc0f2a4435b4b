using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.TensorFiles;

/// <summary>The name, type and shape of a tensor in a checkpoint.</summary>
internal sealed record TensorEntry(string Name, ElementType Type, IReadOnlyList<long> Shape);

/// <summary>Named tensors of a checkpoint, stored in one or several files.</summary>
internal interface ITensorSource : IDisposable
{
    /// <summary>The name of the file or folder, for messages.</summary>
    string Location { get; }

    IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    /// <summary>Free text stored with the tensors; empty if there is none.</summary>
    IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads one tensor in its stored type, on the CPU. The caller owns it.</summary>
    Tensor Read(string name);
}

/// <summary>
/// Named arrays of floats with accompanying texts, stored as one .safetensors file or as a folder of .npy files, depending on the path.
/// </summary>
internal static class ArrayFiles
{
    private const string SafetensorsExtension = ".safetensors";

    /// <summary>Whether a path denotes a safetensors file; any other path denotes a folder.</summary>
    public static bool IsSafetensors(string path) => path.EndsWith(SafetensorsExtension, StringComparison.OrdinalIgnoreCase);

    /// <exception cref="FileNotFoundException">There is no such file or folder.</exception>
    /// <exception cref="InvalidDataException">The content is damaged or of an unsupported kind.</exception>
    public static ITensorSource Open(string path)
    {
        if (Directory.Exists(path))
            return NpyFolder.Open(path);
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no file or folder '{path}'.", path);
        if (!IsSafetensors(path))
            throw new InvalidDataException($"'{path}' is neither a folder of .npy files nor a {SafetensorsExtension} file.");
        return SafetensorsFile.Open(path);
    }

    /// <summary>Writes everything or nothing.</summary>
    /// <exception cref="IOException">The path cannot be written, or the folder is not empty.</exception>
    public static void Write(string path, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        if (!IsSafetensors(path))
        {
            NpyFolder.Write(path, tensors, metadata);
            return;
        }
        WholeFile.Write(path, stream => SafetensorsWriter.Write(stream, tensors, metadata));
    }

    /// <summary>One array in single precision, in row-major order.</summary>
    /// <exception cref="InvalidDataException">There is no such array, or its values are not floats or not all finite.</exception>
    public static (float[] Values, int[] Shape) ReadFloats(ITensorSource source, string name)
    {
        // Creating a dispose scope needs libtorch, too.
        LibTorch.EnsureLoaded();
        using var scope = NewDisposeScope();
        Tensor stored = source.Read(name);
        return FloatsOf(stored, $"{source.Location}: '{name}'");
    }

    /// <param name="stored">A tensor of any float type; owned by the caller.</param>
    /// <param name="what">The array's description in messages.</param>
    /// <exception cref="InvalidDataException">The values are not floats or not all finite.</exception>
    public static (float[] Values, int[] Shape) FloatsOf(Tensor stored, string what)
    {
        using var scope = NewDisposeScope();
        if (stored.dtype is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.Float16 or ScalarType.BFloat16))
            throw new InvalidDataException($"{what} is of type {stored.dtype}, but floats are expected.");
        if (stored.shape.Any(size => size > int.MaxValue))
            throw new InvalidDataException($"{what} has the shape [{string.Join(", ", stored.shape)}], which is too large.");
        float[] values =
            stored.NumberOfElements == 0
                ? []
                : MemoryMarshal.Cast<byte, float>(stored.to_type(ScalarType.Float32).contiguous().bytes).ToArray();
        int wrong = Array.FindIndex(values, value => !float.IsFinite(value));
        if (wrong >= 0)
            throw new InvalidDataException(
                $"{what} holds {values[wrong]} at index {wrong}, counted row by row from 0; every number must be finite."
            );
        return (values, [.. stored.shape.Select(size => (int)size)]);
    }
}

/// <summary>
/// SHA-256 over the values of named tensors: ML.NET's zip reader does not verify checksums, and a changed bit in a weight would only show
/// as a worse model.
/// </summary>
internal static class TensorDigest
{
    /// <summary>The metadata field that stores the hash.</summary>
    public const string Name = "sha256";

    /// <summary>
    /// The hash in lower-case hexadecimal, over the bytes of the tensors in ordinal order of their names; they may be on any device.
    /// </summary>
    public static string Compute(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var hash = new Sha256();
        foreach (Tensor tensor in tensors.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value))
        {
            using var scope = NewDisposeScope();
            hash.Append(tensor.detach().cpu().contiguous().bytes);
        }
        return hash.Finish();
    }

    /// <summary>The hash computed from the stored bytes of the tensors.</summary>
    public static string Compute(IEnumerable<KeyValuePair<string, byte[]>> numbers)
    {
        using var hash = new Sha256();
        foreach (byte[] bytes in numbers.OrderBy(each => each.Key, StringComparer.Ordinal).Select(each => each.Value))
            hash.Append(bytes);
        return hash.Finish();
    }
}
