using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>
/// Decoded photographs and the teacher's features, computed once and kept in files: pixels.bin, pooled.bin ([512] float16 per photograph)
/// and maps.bin ([49, 128] float16 per photograph, in the principal components of basis.bin). Existing content is kept, so that an
/// interrupted preparation resumes.
/// </summary>
internal sealed class PhotographCache
{
    /// <summary>Number of principal components of the teacher's features that are kept.</summary>
    public const int Components = 128;

    private const int Chunk = 512,
        Batch = 64,
        BasisImages = 2048;
    private const int Cells = ITeacher.Grid * ITeacher.Grid;

    private readonly string _folder;
    private readonly IReadOnlyList<Photograph> _photographs;

    public PhotographCache(string folder, IReadOnlyList<Photograph> photographs)
    {
        (_folder, _photographs) = (folder, photographs);
        Directory.CreateDirectory(folder);
        // The files have no paths, so check that they belong to the same list of photographs.
        string list = Path.Combine(folder, "photographs.txt");
        string text = string.Join('\n', photographs.Select(p => $"{p.Class}\t{p.Side}\t{p.Path}"));
        if (File.Exists(list) && File.ReadAllText(list) != text)
            throw new InvalidDataException(
                $"'{folder}' was prepared for other photographs: name another folder with --cache, or empty it."
            );
        if (!File.Exists(list))
            WholeFile.Write(list, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    private string PixelFile => Path.Combine(_folder, "pixels.bin");

    private string PooledFile => Path.Combine(_folder, "pooled.bin");

    private string MapFile => Path.Combine(_folder, "maps.bin");

    private string BasisFile => Path.Combine(_folder, "basis.bin");

    /// <summary>Decodes the photographs and computes the teacher's features as far as that has not been done yet.</summary>
    /// <param name="teacher">Creates the teacher.</param>
    /// <param name="say">Receives lines of progress.</param>
    /// <param name="cancellationToken">Ends the preparation after the current chunk.</param>
    public void Prepare(Func<ITeacher> teacher, Action<string> say, CancellationToken cancellationToken)
    {
        Decode(say, cancellationToken);
        if (cancellationToken.IsCancellationRequested)
            return;
        PixelStore pixels = OpenPixels();
        using ITeacher network = teacher();
        using var noGrad = no_grad();
        if (!File.Exists(BasisFile))
            LearnBasis(network, pixels, say);
        Teach(network, pixels, say, cancellationToken);
    }

    /// <summary>Whether there is enough to start training: all photographs are decoded and the teacher's features exist for some.</summary>
    public bool HasBegun =>
        File.Exists(MapFile) && new FileInfo(MapFile).Length > 0 && new FileInfo(PixelFile).Length == PixelStore.Ends(_photographs)[^1];

    /// <summary>Reads the pixels of all photographs into memory.</summary>
    public PixelStore OpenPixels() => new(PixelFile, _photographs);

    /// <summary>Opens the pooled features, [photographs with features, 512].</summary>
    public HalfRows OpenPooled() => new(PooledFile, ITeacher.Width);

    /// <summary>Opens the feature maps, [photographs with features, 49 · 128].</summary>
    public HalfRows OpenMaps() => new(MapFile, Cells * Components);

    private void Decode(Action<string> say, CancellationToken cancellationToken)
    {
        long[] ends = PixelStore.Ends(_photographs);
        using FileStream file = new(PixelFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        int first = Array.FindLastIndex(ends, end => end <= file.Length) + 1;
        file.SetLength(first == 0 ? 0 : ends[first - 1]);
        file.Position = file.Length;
        var clock = Stopwatch.StartNew();
        for (int start = first; start < _photographs.Count && !cancellationToken.IsCancellationRequested; start += Chunk)
        {
            int count = Math.Min(Chunk, _photographs.Count - start);
            var pixels = new byte[count][];
            Parallel.For(0, count, i => pixels[i] = PhotographFolders.Square(_photographs[start + i]));
            foreach (byte[] image in pixels)
                file.Write(image);
            if (start / Chunk % 20 == 0)
                say(Line("decoded", start + count, start + count - first, clock.Elapsed));
        }
    }

    private void LearnBasis(ITeacher network, PixelStore pixels, Action<string> say)
    {
        int images = Math.Min(BasisImages, _photographs.Count);
        say("learning the principal components of the teacher's features");
        using var scope = NewDisposeScope();
        Tensor rows = cat(
                [
                    .. Enumerable
                        .Range(0, images)
                        .Select(i => (int)((long)i * _photographs.Count / images))
                        .Chunk(Batch)
                        .Select(some => network.Features([.. some.Select(image => Image(pixels, image))])),
                ],
                0
            )
            .view(-1, ITeacher.Width)
            .to(ScalarType.Float64);
        Tensor mean = rows.mean([0]);
        Tensor centred = rows - mean;
        var (values, vectors) = linalg.eigh(centred.t().matmul(centred).Over(rows.shape[0]));
        Tensor basis = vectors.flip(1).narrow(1, 0, Components); // [512, components], the largest first
        double kept = values.flip(0).narrow(0, 0, Components).sum().item<double>() / values.sum().item<double>();
        say($"{Components} components keep {kept:p1} of the variance");
        float[] numbers = [.. mean.to(ScalarType.Float32).data<float>(), .. basis.contiguous().to(ScalarType.Float32).data<float>()];
        WholeFile.Write(BasisFile, stream => stream.Write(MemoryMarshal.AsBytes(numbers.AsSpan())));
    }

    private void Teach(ITeacher network, PixelStore pixels, Action<string> say, CancellationToken cancellationToken)
    {
        float[] numbers = new float[ITeacher.Width * (1 + Components)];
        File.ReadAllBytes(BasisFile).CopyTo(MemoryMarshal.AsBytes(numbers.AsSpan()));
        using Tensor all = tensor(numbers);
        using Tensor mean = all.narrow(0, 0, ITeacher.Width),
            basis = all.narrow(0, ITeacher.Width, ITeacher.Width * Components).view(ITeacher.Width, Components);
        using FileStream pooled = new(PooledFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read),
            mapped = new(MapFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        int pooledBytes = ITeacher.Width * 2,
            mapBytes = Cells * Components * 2;
        int first = (int)Math.Min(pooled.Length / pooledBytes, mapped.Length / mapBytes);
        pooled.SetLength(pooled.Position = (long)first * pooledBytes);
        mapped.SetLength(mapped.Position = (long)first * mapBytes);
        int[] order = Order(_photographs.Count);
        var clock = Stopwatch.StartNew();
        for (int start = first; start < _photographs.Count && !cancellationToken.IsCancellationRequested; start += Batch)
        {
            int count = Math.Min(Batch, _photographs.Count - start);
            using var scope = NewDisposeScope();
            Tensor maps = network.Features([.. order.AsSpan(start, count).ToArray().Select(image => Image(pixels, image))]);
            Append(pooled, maps.mean([1]));
            // One by one: in a larger product the last bits of a row can depend on its place, and so on where a run was cut short.
            for (int i = 0; i < count; i++)
                Append(mapped, (maps[i] - mean).matmul(basis));
            if (start / Batch % 32 == 0)
                say(Line("taught", start + count, start + count - first, clock.Elapsed));
        }
    }

    private RgbImage Image(PixelStore pixels, int image) => new(_photographs[image].Side, _photographs[image].Side, pixels.Read(image));

    private static void Append(FileStream file, Tensor rows)
    {
        using Tensor halves = rows.to(ScalarType.Float16).contiguous();
        file.Write(halves.bytes);
        file.Flush();
    }

    /// <summary>The order in which the teacher's features are computed: shuffled, so that a partial cache has all classes.</summary>
    public static int[] Order(int count)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        new Random(1).Shuffle(order);
        return order;
    }

    private string Line(string what, int done, int since, TimeSpan elapsed) =>
        $"{what} {done} of {_photographs.Count} photographs, {since / elapsed.TotalSeconds:f0} a second, "
        + $"{elapsed / since * (_photographs.Count - done):hh\\:mm\\:ss} left";
}

/// <summary>Pixels of all photographs, held in memory.</summary>
internal sealed class PixelStore
{
    private readonly byte[][] _images;

    public PixelStore(string file, IReadOnlyList<Photograph> photographs)
    {
        using FileStream stream = File.OpenRead(file);
        _images = new byte[photographs.Count][];
        for (int i = 0; i < _images.Length; i++)
            stream.ReadExactly(_images[i] = new byte[Bytes(photographs[i])]);
    }

    /// <summary>Returns the pixels of a photograph, [side, side, 3]; they must not be changed.</summary>
    public byte[] Read(int image) => _images[image];

    public static long[] Ends(IReadOnlyList<Photograph> photographs)
    {
        var ends = new long[photographs.Count];
        long end = 0;
        for (int i = 0; i < ends.Length; i++)
            ends[i] = end += Bytes(photographs[i]);
        return ends;
    }

    private static int Bytes(Photograph photograph) => 3 * photograph.Side * photograph.Side;
}

/// <summary>Rows of float16 numbers in a file, read on demand.</summary>
internal sealed class HalfRows : IDisposable
{
    private readonly FileStream _file;

    public HalfRows(string file, int width) =>
        (_file, Width) = (new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1), width);

    /// <summary>Number of values in a row.</summary>
    public int Width { get; }

    /// <summary>Current number of rows, which may grow while another process appends to the file.</summary>
    public int Count => (int)(RandomAccess.GetLength(_file.SafeFileHandle) / (2L * Width));

    public void Read(int row, Span<Half> into) =>
        RandomAccess.Read(_file.SafeFileHandle, MemoryMarshal.AsBytes(into[..Width]), (long)row * Width * 2);

    public void Dispose() => _file.Dispose();
}
