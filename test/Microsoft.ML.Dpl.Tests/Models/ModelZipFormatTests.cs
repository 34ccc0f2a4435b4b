using System.Buffers.Binary;
using System.IO.Compression;
using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Tests.MLNet;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Saving and loading through <c>MLContext.Model</c>, and the messages for damaged zips.</summary>
public sealed class ModelZipTests(ImageFixture images) : IClassFixture<ImageFixture>, IDisposable
{
    private readonly MLContext _context = new(seed: 1);

    public void Dispose() => FakeTransformer.OnLoad(null);

    [Theory, MemberData(nameof(ScoringContractTests.Inputs), MemberType = typeof(ScoringContractTests))]
    public void SurvivesSavingAndLoading(string form, string kind)
    {
        IDataView view = images.View(_context, Enum.Parse<ImageForm>(form), Enum.Parse<LabelKind>(kind));
        FakeTransformer saved = new FakeEstimator(new FakeScorer(5)).Fit(view);
        var loaded = Assert.IsType<FakeTransformer>(Load(Save(saved, view.Schema)));
        Assert.Equal(saved.Payload, loaded.Payload);
        Assert.Equal(5, loaded.Columns.BatchSize);
        SchemaAssert.Equal(saved.GetOutputSchema(view.Schema), loaded.GetOutputSchema(view.Schema));
        Assert.Equal(saved.Transform(view).GetColumn<float[]>("Score"), loaded.Transform(view).GetColumn<float[]>("Score"));
    }

    [Fact]
    public void LoadsInsideAChain()
    {
        IDataView view = images.View(_context, ImageForm.Path, LabelKind.Key);
        var chain = _context
            .Transforms.CopyColumns("Other", "Path")
            .Append(new FakeEstimator(new FakeScorer()))
            .Append(_context.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        ITransformer loaded = Load(Save(chain.Fit(view), view.Schema));
        Assert.Equal(FakeScorer.Classes, loaded.Transform(view).GetColumn<string>("PredictedLabel").Take(3));
    }

    [Fact]
    public void NumbersBehindAKeyStayNumbers()
    {
        IDataView view = _context.Data.LoadFromEnumerable(
            Enumerable.Range(0, 6).Select(i => new { Image = images.Paths[i], Label = new[] { 7.5f, -1f, 0.1f }[i % 3] })
        );
        view = _context.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        FakeTransformer transformer = new FakeEstimator(new FakeScorer()).Fit(view);
        transformer.Scorer.Order = FakeScorer.Classes;
        var loaded = (FakeTransformer)Load(Save(transformer, view.Schema));
        loaded.Scorer.Order = FakeScorer.Classes;
        SchemaAssert.Equal(
            new FakeEstimator(new FakeScorer()).GetOutputSchema(MLNetInternals.ShapeOf(view.Schema)),
            MLNetInternals.ShapeOf(loaded.GetOutputSchema(view.Schema))
        );
        IDataView scored = loaded.Transform(view);
        IDataView values = _context.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(scored).Transform(scored);
        Assert.Equal([7.5f, -1f, 0.1f], values.GetColumn<float>("PredictedLabel").Take(3));
        Assert.Equal(["7.5", "-1", "0.1"], loaded.Columns.Classes.Names);
    }

    [Theory]
    [InlineData("dpl.json")]
    [InlineData("Payload")]
    public void AMissingEntryIsNamed(string entry)
    {
        MemoryStream zip = SavedFake();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true))
            archive.Entries.Single(e => e.Name == entry).Delete();
        Exception error = LoadError(zip);
        Assert.IsType<InvalidDataException>(error);
        Assert.Contains($"no entry '{entry}'", error.Message);
    }

    [Fact]
    public void AShortEntryIsNamed()
    {
        FakeTransformer.OnLoad(reader => ModelZipFormat.ReadStream(reader, FakeTransformer.Stream, r => r.ReadInt64()));
        Exception error = LoadError(SavedFake());
        Assert.Contains("'Payload'", error.Message);
        Assert.Contains("too early", error.Message);
    }

    [Fact]
    public void ANewerFormatIsRefused()
    {
        MemoryStream zip = SavedFake();
        ChangeModel(zip, bytes =>
        {
            int at = bytes.AsSpan().IndexOf("DPLCLIP"u8);
            // Signature, version written, and the oldest version whose readers can read it: 1.1, as long as those readers can.
            Assert.Equal((2, 1), (bytes[at + 8], bytes[at + 12]));
            bytes[at + 8] = bytes[at + 12] = (byte)((MLNetInternals.FormatVersion & 0xFF) + 1);
        });
        Exception error = LoadError(zip);
        Assert.IsType<InvalidDataException>(error);
        Assert.Contains("newer version", error.Message);
    }

    [Theory]
    [InlineData(3, 0, "batch size")]
    [InlineData(4, 7, "label kind")]
    [InlineData(5, 99, "99")]
    [InlineData(6, 0, "0 classes")]
    public void ValuesOutOfRangeAreNamed(int field, int value, string expected)
    {
        MemoryStream zip = SavedFake();
        ChangeModel(zip, bytes =>
        {
            // ML.NET's header has the offset of the model's own data at byte 16.
            int model = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(16));
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(model + 4 * field), value);
        });
        Assert.Contains(expected, LoadError(zip).Message);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 2)]
    public void AnErrorWhileLoadingKeepsItsTypeAndIsLogged(bool inAChain, int wrappers)
    {
        MemoryStream zip = inAChain
            ? Save(_context.Transforms.CopyColumns("Other", "Path").Append(new FakeEstimator(new FakeScorer())).Fit(View()), View().Schema)
            : SavedFake();
        FakeTransformer.OnLoad(_ => throw new FileNotFoundException("The backbone is not there."));
        var context = new MLContext();
        var log = new List<string>();
        context.Log += (_, e) => log.Add(e.Message);
        Exception error = LoadError(zip, context, out int found);
        Assert.IsType<FileNotFoundException>(error);
        Assert.Equal(wrappers, found);
        Assert.Contains(log, m => m.Contains("The backbone is not there."));
    }

    private IDataView View() => images.View(_context, ImageForm.Path, LabelKind.Key);

    private MemoryStream SavedFake() => Save(new FakeEstimator(new FakeScorer()).Fit(View()), View().Schema);

    private MemoryStream Save(ITransformer transformer, DataViewSchema schema)
    {
        var zip = new MemoryStream();
        _context.Model.Save(transformer, schema, zip);
        zip.Position = 0;
        return zip;
    }

    private static ITransformer Load(MemoryStream zip) => Load(zip, new MLContext());

    private static ITransformer Load(MemoryStream zip, MLContext context)
    {
        zip.Position = 0;
        return context.Model.Load(zip, out _);
    }

    private static Exception LoadError(MemoryStream zip) => LoadError(zip, new MLContext(), out _);

    private static Exception LoadError(MemoryStream zip, MLContext context, out int wrappers)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => Load(zip, context));
        for (wrappers = 0; error is TargetInvocationException; wrappers++)
            error = error.InnerException!;
        return error;
    }

    private static void ChangeModel(MemoryStream zip, Action<byte[]> change)
    {
        using var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true);
        ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == "Model.key");
        byte[] bytes = new byte[entry.Length];
        using Stream stream = entry.Open();
        stream.ReadExactly(bytes);
        change(bytes);
        stream.Position = 0;
        stream.Write(bytes);
    }
}
