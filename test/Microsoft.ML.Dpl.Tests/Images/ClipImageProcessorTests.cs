using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using Xunit.Abstractions;

namespace Microsoft.ML.Dpl.Tests.Images;

public sealed class ClipImageProcessorTests(ITestOutputHelper output)
{
    public static TheoryData<string, int> GoldenImages()
    {
        var cases = new TheoryData<string, int>();
        foreach (
            string name in (string[])
                [
                    "alpha.png",
                    "exact-224.png",
                    "grey.jpg",
                    "grey.png",
                    "palette.png",
                    "photo-2.jpg",
                    "photo-landscape.jpg",
                    "rgb.png",
                    "small-upscaled.png",
                    "tall.jpg",
                    "very-wide.png",
                ]
        )
        {
            foreach (int size in (int[])[64, 224])
                cases.Add(name, size);
        }
        return cases;
    }

    [Theory, Trait("Category", "Golden")]
    [MemberData(nameof(GoldenImages))]
    public void PreparesAsTheReferenceDoes(string name, int size)
    {
        RgbImage image = ImageDecoder.FromFile(GoldenFolder.At($"preprocess/{name}"));
        RgbImage expected = ImageDecoder.FromFile(GoldenFolder.At($"preprocess/{name}.expected-{size}.png"));
        byte[] actual = ClipImageProcessor.Default(size).Prepare(image);

        int[] differences =
        [
            .. Enumerable
                .Range(0, actual.Length)
                .Select(i => Math.Abs(actual[i] - expected.Pixels[i % (size * size) * 3 + i / (size * size)])),
        ];
        output.WriteLine($"{name} {image.Width}x{image.Height} at {size}: mean {differences.Average():f4}, most {differences.Max()}");
        Assert.True(
            differences.Average() <= (name.EndsWith(".jpg", StringComparison.Ordinal) ? 1.5 : 0.5),
            $"mean difference {differences.Average()}"
        );
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 500)]
    [InlineData(500, 1)]
    [InlineData(3, 100_000)]
    [InlineData(49, 48)]
    public void KeepsAPlainImagePlainWhateverItsShape(int width, int height)
    {
        byte[] pixels = [.. Enumerable.Range(0, width * height).SelectMany(_ => (byte[])[10, 200, 255])];
        byte[] prepared = ClipImageProcessor.Default(48).Prepare(new RgbImage(width, height, pixels));
        Assert.Equal(3 * 48 * 48, prepared.Length);
        Assert.Equal(
            [10, 200, 255],
            Enumerable.Range(0, 3).Select(c => Assert.Single(prepared.Skip(c * 48 * 48).Take(48 * 48).Distinct()))
        );
    }

    [Fact]
    public void LooksAtTheMiddleOfAnExtremelyWideImage()
    {
        const int Width = 4001,
            Height = 10;
        var pixels = new byte[Width * Height * 3];
        for (int i = 0; i < pixels.Length; i++)
            pixels[i] = (byte)(Math.Abs(i / 3 % Width - Width / 2) <= 2 ? 255 : 0);
        byte[] prepared = ClipImageProcessor.Default(20).Prepare(new RgbImage(Width, Height, pixels));
        byte[] row = prepared[..20];
        Assert.Equal(row.Reverse(), row);
        Assert.InRange(row.Max(), 240, 255);
        Assert.Equal(0, row[0]);
    }

    [Fact]
    public void TransparentPixelsDoNotBleedIntoOthers()
    {
        // The left half is opaque red, the right half fully transparent green.
        byte[] pixels = [.. Enumerable.Range(0, 64 * 64).SelectMany(i => (byte[])(i % 64 < 32 ? [255, 0, 0] : [0, 255, 0]))];
        byte[] alpha = [.. Enumerable.Range(0, 64 * 64).Select(i => (byte)(i % 64 < 32 ? 255 : 0))];
        byte[] prepared = ClipImageProcessor.Default(20).Prepare(new RgbImage(64, 64, pixels, alpha));
        Assert.All(prepared.Skip(400).Take(400), green => Assert.Equal(0, green));
        Assert.Equal(255, prepared[0]);
    }

    [Fact]
    public void PadsWithBlackWhereTheCropIsLarger()
    {
        var processor = new ClipImageProcessor(new ClipImageProcessorConfig(4, 8, [0, 0, 0], [1, 1, 1]));
        byte[] white = new byte[4 * 6 * 3];
        Array.Fill(white, (byte)255);
        byte[] prepared = processor.Prepare(new RgbImage(6, 4, white));
        for (int i = 0; i < prepared.Length; i++)
            Assert.Equal(i / 8 % 8 is >= 2 and < 6 && i % 8 is >= 1 and < 7 ? 255 : 0, prepared[i]);
    }

    [Fact]
    public void NormalisesEachChannel()
    {
        LibTorch.EnsureLoaded();
        using var scope = torch.NewDisposeScope();
        byte[] bytes = [.. Enumerable.Range(0, 2 * 3 * 4).Select(i => (byte)(i * 10))];
        torch.Tensor images = torch.tensor(bytes, [2, 3, 2, 2]);
        float[] values = ClipImageProcessor.Default(2).Normalise(images).data<float>().ToArray();
        float[] mean = [0.48145466f, 0.4578275f, 0.40821073f],
            deviation = [0.26862954f, 0.26130258f, 0.27577711f];
        for (int i = 0; i < values.Length; i++)
            Assert.Equal((bytes[i] / 255f - mean[i / 4 % 3]) / deviation[i / 4 % 3], values[i], 1e-5f);
        Assert.Equal(bytes, images.bytes.ToArray());
    }

    [Theory]
    [InlineData(224)]
    [InlineData(48)]
    public void ReadsPublishedConfigurations(int size)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("preprocessor_config.json");
        File.WriteAllText(
            path,
            File.ReadAllText(GoldenFolder.At("config/preprocessor_config.json")).Replace("224", $"{size}", StringComparison.Ordinal)
        );
        ClipImageProcessorConfig read = ClipImageProcessorConfig.Read(path, size),
            standard = ClipImageProcessorConfig.Default(size);
        Assert.Equal((size, size), (read.ShortSide, read.CropSize));
        Assert.Equal(standard.Mean, read.Mean);
        Assert.Equal(standard.Deviation, read.Deviation);
        Assert.Contains("image size", Assert.Throws<InvalidDataException>(() => ClipImageProcessor.FromFile(path, size + 1)).Message);
    }

    [Theory]
    [InlineData("{}", 32)]
    [InlineData("{\"size\": 40, \"crop_size\": 32, \"resample\": 3}", 40)]
    [InlineData("{\"size\": {\"shortest_edge\": 33}, \"crop_size\": {\"height\": 32, \"width\": 32}, \"do_normalize\": false}", 33)]
    public void ReadsOlderAndSparseConfigurations(string json, int shortSide) =>
        Assert.Equal((shortSide, 32), ReadJson(json, c => (c.ShortSide, c.CropSize)));

    [Theory]
    [InlineData("image_processor")]
    [InlineData("feature_extractor")]
    public void ReadsThePartOfAProcessorAndPrefersIt(string part)
    {
        using var folder = new TemporaryFolder();
        Assert.Null(ClipImageProcessorConfig.FileIn(folder.FullPath));
        string alone = folder.File("preprocessor_config.json"),
            processor = folder.File("processor_config.json");
        File.WriteAllText(alone, "{}");
        File.WriteAllText(processor, """{"processor_class": "CLIPProcessor"}""");
        Assert.Equal(alone, ClipImageProcessorConfig.FileIn(folder.FullPath));
        File.WriteAllText(processor, $$$"""{"{{{part}}}": {"size": {"shortest_edge": 40}, "image_mean": [0.5, 0.25, 0.5]}}""");
        Assert.Equal(processor, ClipImageProcessorConfig.FileIn(folder.FullPath));
        ClipImageProcessorConfig read = ClipImageProcessorConfig.Read(processor, 32);
        Assert.Equal((40, 0.25f), (read.ShortSide, read.Mean[1]));
        File.WriteAllText(processor, $$$"""{"{{{part}}}": {"image_mean": [1]}}""");
        Assert.Contains("image_mean", Assert.Throws<InvalidDataException>(() => ClipImageProcessorConfig.Read(processor, 32)).Message);
    }

    [Theory]
    [InlineData("{\"resample\": 2}", "resample is 2")]
    [InlineData("{\"do_resize\": false}", "do_resize")]
    [InlineData("{\"do_center_crop\": \"no\"}", "do_center_crop")]
    [InlineData("{\"rescale_factor\": 1}", "rescale_factor")]
    [InlineData("{\"size\": {\"height\": 32, \"width\": 32}}", "shortest_edge")]
    [InlineData("{\"crop_size\": {\"height\": 32, \"width\": 16}}", "crop_size")]
    [InlineData("{\"crop_size\": 16}", "crop_size is 16")]
    [InlineData("{\"image_mean\": [0, 0]}", "image_mean")]
    [InlineData("{\"image_std\": [1, 0, 1]}", "image_std")]
    [InlineData("{\"image_std\": [1, 1e-30, 1]}", "image_std")]
    [InlineData("{\"image_mean\": [0, 1e999, 0]}", "image_mean")]
    [InlineData("{\"size\": 2147483647}", "more than 16 times")]
    [InlineData("{\"resample\": \"\\ud800\"}", "resample")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("{", "not JSON")]
    public void RefusesWhatItDoesNotDo(string json, string message) =>
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => ReadJson(json, c => c.CropSize)).Message);

    [Fact]
    public void NamesAMissingConfiguration() =>
        Assert.Contains("absent.json", Assert.Throws<FileNotFoundException>(() => ClipImageProcessor.FromFile("absent.json", 32)).Message);

    private static T ReadJson<T>(string json, Func<ClipImageProcessorConfig, T> read)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, json);
            return read(ClipImageProcessorConfig.Read(path, 32));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
