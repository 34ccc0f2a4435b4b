using System.Globalization;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>The files that SaveAsOnnx writes: one or two, complete or not at all, with the same bytes every time.</summary>
public sealed class OnnxFileTests(SmallBackbone small, ColourImages images) : ColourFits(small, images), IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private protected override DplTrainer.Options Common => new() { Training = { Epochs = 2 } };

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_same_model_is_the_same_bytes_in_file_and_stream()
    {
        using DplTransformer trained = Fit(Small.Backbone, "text 1 1 | image 2 0 1");
        byte[] first = OnnxModel.Written(trained);
        Assert.Equal(first, OnnxModel.Written(trained));
        string path = Path.Combine(_folder.FullPath, "new", "model.onnx");
        trained.SaveAsOnnx(path);
        Assert.Equal(first, File.ReadAllBytes(path));
        using (FileStream stream = File.Create(_folder.File("within.bin")))
        {
            stream.WriteByte(7);
            trained.SaveAsOnnx(stream);
            stream.WriteByte(9);
        }
        Assert.Equal((byte[])[7, .. first, 9], File.ReadAllBytes(_folder.File("within.bin")));
        trained.SaveAsOnnx(path, OnnxInput.Image);
        Assert.NotEqual(first, File.ReadAllBytes(path));
        Assert.Equal(["model.onnx"], Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!).Select(entry => Path.GetFileName(entry)));
    }

    [Theory]
    [InlineData(OnnxInput.Pixels)]
    [InlineData(OnnxInput.Image)]
    public void Weights_can_lie_beside_the_model(OnnxInput input)
    {
        using DplTransformer trained = Fit(ClipBackbone.TinyDrawn, PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 2).ToString());
        string path = _folder.File("with blank.onnx"),
            data = path + ".data";
        trained.SaveAsOnnx(path, input, externalData: true);
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder.FullPath).Order(StringComparer.Ordinal));
        byte[] whole = OnnxModel.Written(trained, input);
        Assert.InRange(new FileInfo(path).Length, 1, whole.Length / 4);
        Assert.InRange(new FileInfo(data).Length, whole.Length / 2, whole.Length + (4 << 20));
        using OnnxModel expected = new(whole),
            actual = new(path);
        int size = ClipBackbone.TinyDrawn.Config.ImageSize;
        (float[] Logits, float[] Probabilities) Score(OnnxModel model) =>
            input == OnnxInput.Pixels
                ? model.Score(trained.Pixels(Images.Test[0].ImagePath), 1, 3, size, size)
                : model.Score([.. Enumerable.Range(0, 50 * 40 * 3).Select(i => (byte)(i * 7))], 50, 40);
        Assert.Equal(Score(expected).Logits, Score(actual).Logits);
        Assert.Equal(Score(expected).Probabilities, Score(actual).Probabilities);
        Assert.Equal(expected.Metadata, actual.Metadata);
        byte[] first = File.ReadAllBytes(data);
        trained.SaveAsOnnx(path, input, externalData: true);
        Assert.Equal(first, File.ReadAllBytes(data));
        // Without its weights, under the name it refers to, the file is not a model.
        File.Move(data, _folder.File("other.data"));
        Assert.Contains("with blank.onnx.data", Assert.Throws<OnnxRuntimeException>(() => new OnnxModel(path)).Message);
    }

    [Fact]
    public void What_is_too_large_for_one_file_becomes_two()
    {
        using DplTransformer trained = Fit(ClipBackbone.TinyDrawn, PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 1).ToString());
        string path = _folder.File("model.onnx"),
            data = path + ".data";
        long size = trained.Use(classifier => OnnxClassifier.SizeOf(ClassifierArrays.From(classifier), OnnxPrecision.Float32));
        DplOnnx.Save(trained, path, new DplOnnx.Form(), externalData: false, largest: size, default);
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
        Assert.Contains(
            "Give SaveAsOnnx a path",
            Assert
                .Throws<NotSupportedException>(() => DplOnnx.Save(trained, Stream.Null, new DplOnnx.Form(), largest: size - 1, default))
                .Message
        );
        DplOnnx.Save(trained, path, new DplOnnx.Form(), externalData: false, largest: size - 1, default);
        Assert.True(File.Exists(data));
        using var model = new OnnxModel(path);
        Assert.Equal(trained.ClassNames, model.Classes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_cancelled_or_failed_write_leaves_both_files_as_they_were(bool cancelled)
    {
        using DplTransformer trained = Fit(Small.Backbone, "text 0 0 | image 0 0 0");
        string path = _folder.File("model.onnx"),
            data = path + ".data";
        File.WriteAllText(path, "old");
        using var source = new CancellationTokenSource();
        if (cancelled)
        {
            File.WriteAllText(data, "old, too");
            source.Cancel();
        }
        else
        {
            Directory.CreateDirectory(data);
        }
        Exception thrown = Assert.ThrowsAny<Exception>(() => trained.SaveAsOnnx(path, externalData: true, cancellationToken: source.Token));
        Assert.True(
            cancelled
                ? thrown is OperationCanceledException
                : thrown is IOException && thrown.Message.Contains($"'{data}' is a folder", StringComparison.Ordinal),
            thrown.ToString()
        );
        Assert.Equal("old", File.ReadAllText(path));
        if (cancelled)
            Assert.Equal("old, too", File.ReadAllText(data));
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder.FullPath).Order(StringComparer.Ordinal));
        if (!cancelled)
            return;
        foreach (bool beside in (bool[])[false, true])
            Assert.Throws<OperationCanceledException>(() =>
                trained.SaveAsOnnx(_folder.File("new.onnx"), externalData: beside, cancellationToken: source.Token)
            );
        Assert.Throws<OperationCanceledException>(() => trained.SaveAsOnnx(Stream.Null, cancellationToken: source.Token));
        Assert.Equal(2, Directory.GetFileSystemEntries(_folder.FullPath).Length);
    }

    [Fact]
    public void A_failed_write_leaves_nothing()
    {
        using DplTransformer trained = Fit(Small.Backbone, "text 0 0 | image 0 0 0");
        string path = _folder.File("model.onnx");
        Directory.CreateDirectory(path);
        Assert.Contains($"'{path}' is a folder", Assert.Throws<IOException>(() => trained.SaveAsOnnx(path)).Message);
        string missing = _folder.File("missing") + Path.DirectorySeparatorChar;
        Assert.Contains("is a folder", Assert.Throws<IOException>(() => trained.SaveAsOnnx(missing)).Message);
        Assert.Throws<ArgumentException>(() => trained.SaveAsOnnx(" "));
        Assert.Throws<ArgumentNullException>(() => trained.SaveAsOnnx((Stream)null!));
        Assert.Throws<ArgumentNullException>(() => ((DplTransformer)null!).SaveAsOnnx(Stream.Null));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
        Assert.Throws<IOException>(() => trained.SaveAsOnnx(new ShortStream(1000)));
        Assert.Throws<ArgumentOutOfRangeException>(() => trained.SaveAsOnnx(_folder.File("other.onnx"), (OnnxInput)7));
        trained.Dispose();
        Assert.Throws<ObjectDisposedException>(() => trained.SaveAsOnnx(_folder.File("other.onnx")));
        Assert.Throws<ObjectDisposedException>(() => trained.Pixels(Images.Test[0].ImagePath));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Fact]
    public void Where_numbers_have_commas_the_bytes_are_the_same()
    {
        using DplTransformer trained = Fit(Small.Backbone, "text 0 0 | image 0 0 2");
        byte[] expected = OnnxModel.Written(trained);
        CultureInfo before = CultureInfo.CurrentCulture;
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (culture.NumberFormat.NumberDecimalSeparator, culture.NumberFormat.NegativeSign) = (",", "\u2212");
        CultureInfo.CurrentCulture = culture;
        try
        {
            Assert.Equal(expected, OnnxModel.Written(trained));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public async Task Several_may_write_the_same_file_at_once_while_others_predict()
    {
        using DplTransformer trained = Fit(Small.Backbone, "text 1 1 | image 2 0 1");
        byte[] expected = OnnxModel.Written(trained);
        float[][] scores = Scores(trained);
        string path = _folder.File("model.onnx");
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(i =>
                    Task.Run(() =>
                    {
                        if (i % 2 == 0)
                            Assert.Equal(scores, Scores(trained));
                        else
                            for (int times = 0; times < 10; times++)
                                trained.SaveAsOnnx(path);
                    })
                )
        );
        Assert.Equal(expected, File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    private DplTransformer Fit(ClipBackbone backbone, string configuration) =>
        Fit(options => (options.Backbone, options.Configuration) = (backbone, PromptConfiguration.Parse(configuration)));

    /// <summary>A disk that is full after <paramref name="room"/> bytes.</summary>
    private sealed class ShortStream(int room) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length + count > room)
                throw new IOException("full");
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (Length + buffer.Length > room)
                throw new IOException("full");
            base.Write(buffer);
        }
    }
}
