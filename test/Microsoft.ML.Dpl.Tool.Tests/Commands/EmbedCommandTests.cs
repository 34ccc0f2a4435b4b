using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary><c>dpl embed</c> in separate processes: every format holds the library's vectors, in the order of the input.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class EmbedCommandTests(DrawnData data) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tool-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_table_becomes_an_array_in_NumPys_format_in_the_order_of_the_table()
    {
        string output = Path.Combine(_folder, "new", "vectors.npy"),
            rows = Path.Combine(_folder, "rows.txt");
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run("embed", data.Table("test"), "--clip", "tiny-drawn", "-o", output, "--rows", rows, "--json", "--quiet")
        ).Expect(0);
        JsonElement told = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        string[] paths = [.. data.Rows("test").Select(row => row.Path)];
        Assert.Equal(paths.Length, told.GetProperty("rows").GetInt32());
        Assert.Equal(ClipBackbone.TinyDrawn.Sha256, told.GetProperty("backboneSha256").GetString());
        Assert.Equal(File.ReadLines(data.Table("test")).Skip(1).Select(line => line.Split('\t')[0]), File.ReadLines(rows));
        AssertClose(Vectors(paths), Read(output));
        Assert.Equal([output], Directory.GetFiles(Path.GetDirectoryName(output)!));
    }

    [Fact]
    public async Task Where_no_image_can_be_read_nothing_is_written()
    {
        string npy = Path.Combine(_folder, "none.npy");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("embed", "nowhere.png", "--clip", "tiny-drawn", "-o", npy, "--quiet")).Expect(
            2
        );
        Assert.Contains("None of 1 images could be read, so no vectors are written.", outcome.ErrorLines[^1]);
        Assert.False(File.Exists(npy));
    }

    [Fact]
    public async Task Images_that_cannot_be_read_are_named_and_the_others_done()
    {
        string bad = Path.Combine(_folder, "bad.png");
        File.WriteAllText(bad, "no image");
        string[] good = [.. data.Rows("test").Take(4).Select(row => row.Path)],
            all = [good[2], bad, good[0], good[1], good[3]];
        float[][] expected = Vectors([good[2], good[0], good[1], good[3]]);

        string npy = Path.Combine(_folder, "v.npy");
        ToolProcess.Outcome outcome = (await ToolProcess.Run(["embed", .. all, "--clip", "tiny-drawn", "-o", npy, "--quiet"])).Expect(3);
        Assert.Equal(2, outcome.ErrorLines.Length);
        Assert.StartsWith($"{bad}: ", outcome.ErrorLines[0]);
        Assert.Contains("1 of 5 images could not be read; their rows are NaN", outcome.ErrorLines[1]);
        float[][] rows = Read(npy);
        Assert.All(rows[1], number => Assert.True(float.IsNaN(number)));
        AssertClose(expected, [rows[0], .. rows[2..]]);

        string csv = Path.Combine(_folder, "v.csv");
        (await ToolProcess.Run(["embed", .. all, "--clip", "tiny-drawn", "-o", csv, "--quiet"])).Expect(3);
        string[][] fields = [.. File.ReadLines(csv).Select(line => line.Split(','))];
        Assert.Equal(["path", "0", "1"], fields[0][..3]);
        Assert.Equal([all[0], all[2], all[3], all[4]], fields[1..].Select(row => row[0]));
        AssertClose(expected, [.. fields[1..].Select(row => row[1..].Select(f => float.Parse(f, CultureInfo.InvariantCulture)).ToArray())]);

        string jsonl = Path.Combine(_folder, "v.jsonl");
        (
            await ToolProcess.Run(
                string.Join('\n', all),
                ["embed", "-", "--clip", "tiny-drawn", "-o", jsonl, "--quiet", "--batch-size", "2"]
            )
        ).Expect(3);
        JsonElement[] lines = [.. File.ReadLines(jsonl).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        Assert.Equal(all, lines.Select(line => line.GetProperty("path").GetString()));
        Assert.False(lines[1].TryGetProperty("embedding", out _));
        Assert.Contains("no image", lines[1].GetProperty("error").GetString());
        JsonElement[] readable = [lines[0], .. lines[2..]];
        AssertClose(expected, [.. readable.Select(line => line.GetProperty("embedding").Deserialize<float[]>()!)]);
    }

    [Fact]
    public async Task Lines_of_text_are_embedded_raw_where_that_is_asked_for()
    {
        string questions = Path.Combine(_folder, "questions.txt"),
            output = Path.Combine(_folder, "q.npy");
        string[] texts = ["a red thing", "", "a blue thing", string.Concat(Enumerable.Repeat("very ", 100))];
        File.WriteAllLines(questions, texts);
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run("embed", "--text", questions, "--clip", "tiny-drawn", "--raw", "-o", output, "--quiet")
        ).Expect(0);
        Assert.Contains("Row 3 (counted from 0)", Assert.Single(outcome.ErrorLines));
        var mlContext = new MLContext();
        IDataView rows = mlContext.Data.LoadFromEnumerable(texts.Select(text => new Sentence { Text = text }));
        using ClipEmbeddingTransformer transformer = mlContext
            .Transforms.ClipTextEmbedding("Vector", "Text", ClipBackbone.TinyDrawn, new ClipTextEmbeddingOptions { Normalize = false })
            .Fit(rows);
        float[][] expected = [.. transformer.Transform(rows).GetColumn<float[]>("Vector")];
        AssertClose(expected, Read(output));
        Assert.True(Math.Abs(expected[0].Sum(x => x * x) - 1) > 0.01);
    }

    [Theory]
    [InlineData("must end in .npy, .csv or .jsonl", "a.png", "-o", "vectors.zip")]
    [InlineData("Give either images", "-o", "vectors.npy")]
    [InlineData("Give either images", "a.png", "--text", "b.txt", "-o", "vectors.npy")]
    [InlineData("There is no file 'nowhere.txt'", "--text", "nowhere.txt", "-o", "vectors.npy")]
    [InlineData("There is no table 'nowhere.tsv'", "nowhere.tsv", "-o", "vectors.npy")]
    [InlineData(
        "--image-column is for images: leave it out with --text.",
        "--text",
        "b.txt",
        "--image-column",
        "File",
        "-o",
        "vectors.npy"
    )]
    [InlineData("--image-root is for images: leave it out with --text.", "--text", "b.txt", "--image-root", ".", "-o", "vectors.npy")]
    [InlineData("--apply-exif is for images: leave it out with --text.", "--text", "b.txt", "--apply-exif", "-o", "vectors.npy")]
    [InlineData("--batch-size must be at least 1; it is 0.", "a.png", "--batch-size", "0", "-o", "vectors.npy")]
    public async Task What_cannot_be_done_is_told_in_one_line(string part, params string[] arguments)
    {
        string[] placed =
        [
            .. arguments.Select(word => word.StartsWith("vectors", StringComparison.Ordinal) ? Path.Combine(_folder, word) : word),
        ];
        ToolProcess.Outcome outcome = (await ToolProcess.Run(["embed", .. placed, "--clip", "tiny-drawn"])).Expect(2);
        Assert.Contains(part, Assert.Single(outcome.ErrorLines));
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    private static float[][] Vectors(IEnumerable<string> paths)
    {
        var mlContext = new MLContext();
        IDataView rows = mlContext.Data.LoadFromEnumerable(paths.Select(path => new Photo { ImagePath = path }));
        using ClipEmbeddingTransformer transformer = mlContext
            .Transforms.ClipImageEmbedding("Vector", "ImagePath", ClipBackbone.TinyDrawn)
            .Fit(rows);
        return [.. transformer.Transform(rows).GetColumn<float[]>("Vector")];
    }

    /// <summary>Reads an .npy file according to NumPy's documentation of the format, independently of the library.</summary>
    private static float[][] Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        Assert.Equal([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0], bytes[..8]);
        int start = 10 + BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8));
        Assert.Equal(0, start % 64);
        string header = Encoding.ASCII.GetString(bytes[10..start]);
        Assert.StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (", header);
        Assert.EndsWith("\n", header);
        int[] shape = [.. header.Split('(', ')')[1].Split(", ").Select(size => int.Parse(size, CultureInfo.InvariantCulture))];
        Assert.Equal(start + 4 * shape[0] * shape[1], bytes.Length);
        return
        [
            .. Enumerable
                .Range(0, shape[0] * shape[1])
                .Select(i => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(start + 4 * i)))
                .Chunk(shape[1]),
        ];
    }

    private static void AssertClose(float[][] expected, float[][] found)
    {
        Assert.Equal(expected.Length, found.Length);
        foreach ((float[] one, float[] other) in expected.Zip(found))
        {
            Assert.Equal(one.Length, other.Length);
            for (int i = 0; i < one.Length; i++)
                Assert.Equal(one[i], other[i], 1e-5f);
        }
    }

    private sealed class Photo
    {
        public string ImagePath { get; set; } = "";
    }

    private sealed class Sentence
    {
        public string Text { get; set; } = "";
    }
}
