using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace PretrainTinyClip.Photographs;

/// <summary>A batch of random crops of photographs with the teacher's features at the same places.</summary>
/// <param name="Pixels">Pixels [images, size, size, 3].</param>
/// <param name="Classes">Class indices [images]; −1 for images without a class.</param>
/// <param name="Kept">Indices of the patches to process, [images, kept].</param>
/// <param name="Cells">The teacher's feature map at these patches, [images, kept, components].</param>
/// <param name="Pooled">The teacher's pooled features of the whole photographs, [images, 512].</param>
internal sealed record PhotographBatch(byte[] Pixels, long[] Classes, long[] Kept, float[] Cells, float[] Pooled)
{
    /// <summary>A contiguous part of the batch.</summary>
    public PhotographBatch Part(Range images)
    {
        int count = Classes.Length;
        T[] Slice<T>(T[] all) => all[(images.Start.Value * (all.Length / count))..(images.End.Value * (all.Length / count))];
        return new PhotographBatch(Slice(Pixels), Slice(Classes), Slice(Kept), Slice(Cells), Slice(Pooled));
    }
}

/// <summary>Prepares batches in advance on a background thread that never uses libtorch. A batch depends only on the seed and its number,
/// and on how many photographs have the teacher's features.</summary>
internal sealed class PhotographBatches : IDisposable
{
    private const double LeastArea = 0.35,
        LongestSide = 4.0 / 3,
        Jitter = 0.25,
        WithoutColour = 0.15;
    private const int Grid = ITeacher.Grid;

    // One in this many images is from Caltech101, whose few images have a higher resolution.
    private const int RareEvery = 12;

    private readonly IReadOnlyList<Photograph> _photographs;
    private readonly PixelStore _pixels;
    private readonly HalfRows _pooled,
        _maps;
    private readonly int[] _order,
        _rare;
    private readonly int _count,
        _size,
        _seed;
    private readonly Func<long, int> _kept;
    private readonly BatchesAhead<PhotographBatch> _ahead;

    /// <param name="cache">The prepared cache.</param>
    /// <param name="photographs">The photographs in the cache.</param>
    /// <param name="count">Number of images in a batch.</param>
    /// <param name="size">Side of the crops in pixels.</param>
    /// <param name="kept">Returns how many of the 49 patches of an image are processed in a step.</param>
    /// <param name="firstBatch">Number of batches that earlier runs have used.</param>
    /// <param name="seed">Seed of the selection, crops and patches.</param>
    public PhotographBatches(
        PhotographCache cache,
        IReadOnlyList<Photograph> photographs,
        int count,
        int size,
        Func<long, int> kept,
        long firstBatch,
        int seed
    )
    {
        (_photographs, _count, _size, _kept, _seed) = (photographs, count, size, kept, seed);
        (_pixels, _pooled, _maps) = (cache.OpenPixels(), cache.OpenPooled(), cache.OpenMaps());
        _order = PhotographCache.Order(photographs.Count);
        _rare = [.. Enumerable.Range(0, _order.Length).Where(row => photographs[_order[row]].Side == PhotographFolders.CaltechSide)];
        _ahead = new BatchesAhead<PhotographBatch>(Make(firstBatch), capacity: 3);
    }

    /// <summary>Waits for the next batch.</summary>
    public PhotographBatch Next(CancellationToken cancellationToken) => _ahead.Next(cancellationToken);

    public void Dispose()
    {
        _ahead.Dispose();
        _pooled.Dispose();
        _maps.Dispose();
    }

    private IEnumerable<PhotographBatch> Make(long batch)
    {
        for (; ; batch++)
            yield return Batch(batch);
    }

    private PhotographBatch Batch(long batch)
    {
        int kept = _kept(batch);
        var made = new PhotographBatch(
            new byte[_count * _size * _size * 3],
            new long[_count],
            new long[_count * kept],
            new float[_count * kept * PhotographCache.Components],
            new float[_count * ITeacher.Width]
        );
        Random random = Seeds.Random(_seed, "photographs", batch);
        int taught = Math.Min(_pooled.Count, _maps.Count);
        int[] rare = [.. _rare.TakeWhile(row => row < taught)];
        var map = new Half[Grid * Grid * PhotographCache.Components];
        var pooled = new Half[ITeacher.Width];
        int[] patches = [.. Enumerable.Range(0, Grid * Grid)];
        for (int i = 0; i < _count; i++)
        {
            int row = i % RareEvery == 0 && rare.Length > 0 ? rare[random.Next(rare.Length)] : Row(batch * _count + i, taught);
            Photograph photograph = _photographs[_order[row]];
            PixelArea crop = Crop(photograph.Side, random);
            bool mirrored = random.Next(2) == 1;
            Paint(
                _pixels.Read(_order[row]),
                photograph.Side,
                crop,
                mirrored,
                random,
                made.Pixels.AsSpan(i * _size * _size * 3, _size * _size * 3)
            );
            made.Classes[i] = photograph.Class;
            random.Shuffle(patches);
            for (int k = 0; k < kept; k++)
                made.Kept[i * kept + k] = patches[k];
            _maps.Read(row, map);
            for (int k = 0; k < kept; k++)
                Sample(
                    map,
                    photograph.Side,
                    crop,
                    mirrored,
                    patches[k],
                    made.Cells.AsSpan((i * kept + k) * PhotographCache.Components, PhotographCache.Components)
                );
            _pooled.Read(row, pooled);
            TensorPrimitives.ConvertToSingle(pooled, made.Pooled.AsSpan(i * pooled.Length, pooled.Length));
        }
        return made;
    }

    /// <summary>Selects each row once in every pass. The rows are already shuffled, and each pass goes through them with a random
    /// stride.</summary>
    private int Row(long sample, int count)
    {
        long pass = sample / count;
        Random random = Seeds.Random(_seed, "pass", pass);
        long stride = random.Next(count / 3, count / 2),
            start = random.Next(count);
        while (GreatestCommonDivisor(stride, count) != 1)
            stride++;
        return (int)((sample % count * stride + start) % count);
    }

    private static long GreatestCommonDivisor(long a, long b) => b == 0 ? a : GreatestCommonDivisor(b, a % b);

    private static PixelArea Crop(int side, Random random)
    {
        double area = LeastArea + (1 - LeastArea) * random.NextDouble(),
            ratio = Math.Exp((2 * random.NextDouble() - 1) * Math.Log(LongestSide));
        int width = Math.Clamp((int)Math.Round(side * Math.Sqrt(area * ratio)), 1, side),
            height = Math.Clamp((int)Math.Round(side * Math.Sqrt(area / ratio)), 1, side);
        return new PixelArea(random.Next(side - width + 1), random.Next(side - height + 1), width, height);
    }

    private void Paint(byte[] pixels, int side, PixelArea crop, bool mirrored, Random random, Span<byte> into)
    {
        byte[] resized = CropResize.Resize(new RgbImage(side, side, pixels), crop, _size, _size, new PixelArea(0, 0, _size, _size));
        float gain = 1 + (float)((2 * random.NextDouble() - 1) * Jitter),
            offset = (float)((2 * random.NextDouble() - 1) * Jitter * 64);
        Span<byte> levels = stackalloc byte[256];
        for (int level = 0; level < levels.Length; level++)
            levels[level] = (byte)Math.Clamp(level * gain + offset, 0, byte.MaxValue);
        bool grey = random.NextDouble() < WithoutColour;
        for (int y = 0; y < _size; y++)
        for (int x = 0; x < _size; x++)
        {
            int from = (y * _size + (mirrored ? _size - 1 - x : x)) * 3,
                to = (y * _size + x) * 3;
            var (red, green, blue) = (resized[from], resized[from + 1], resized[from + 2]);
            if (grey)
                red = green = blue = (byte)((299 * red + 587 * green + 114 * blue) / 1000); // luma of ITU-R BT.601
            (into[to], into[to + 1], into[to + 2]) = (levels[red], levels[green], levels[blue]);
        }
    }

    /// <summary>Interpolates the teacher's map bilinearly at the centre of a patch of the crop.</summary>
    private static void Sample(Half[] map, int side, PixelArea crop, bool mirrored, int patch, Span<float> into)
    {
        int column = mirrored ? Grid - 1 - patch % Grid : patch % Grid;
        float x = (crop.X + (column + 0.5f) / Grid * crop.Width) / side * Grid - 0.5f,
            y = (crop.Y + (patch / Grid + 0.5f) / Grid * crop.Height) / side * Grid - 0.5f;
        int left = (int)Math.Clamp(MathF.Floor(x), 0, Grid - 2),
            top = (int)Math.Clamp(MathF.Floor(y), 0, Grid - 2);
        float right = Math.Clamp(x - left, 0, 1),
            down = Math.Clamp(y - top, 0, 1);
        Span<float> cell = stackalloc float[PhotographCache.Components];
        into.Clear();
        for (int corner = 0; corner < 4; corner++)
        {
            int at = (top + corner / 2) * Grid + left + corner % 2;
            float weight = (corner / 2 == 1 ? down : 1 - down) * (corner % 2 == 1 ? right : 1 - right);
            TensorPrimitives.ConvertToSingle(map.AsSpan(at * cell.Length, cell.Length), cell);
            TensorPrimitives.MultiplyAdd(cell, weight, into, into);
        }
    }
}
