using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>Zips that carry CLIP's image tower or the whole CLIP: what works without CLIP's folder, and the errors for damaged
/// zips.</summary>
[Collection(RunsAlone.Name)]
public sealed class ModelContentsTests(ColourImages images) : IClassFixture<ColourImages>, IDisposable
{
    private const int Seed = 43; // no other test registers a CLIP with these weights

    private readonly MLContext _mlContext = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(ModelContents.WithImageTower)]
    [InlineData(ModelContents.WithClip)]
    public void A_zip_that_carries_CLIP_needs_no_folder(ModelContents contents)
    {
        float[][] scores = FitAndSave("first.zip", contents);
        using (DplTransformer loaded = Load("first.zip"))
        {
            Assert.Equal(scores, Scores(loaded));
            Assert.Equal(contents, loaded.Contents);
            Assert.Null(loaded.Backbone.Location);
            Save(loaded, "again.zip");
        }
        using DplTransformer again = Load("again.zip");
        Assert.Equal(scores, Scores(again));
        Assert.Equal(contents, again.Contents);
    }

    [Fact]
    public void Prompts_alone_need_the_folder_and_find_it_again()
    {
        float[][] scores = FitAndSave("prompts.zip", ModelContents.PromptsOnly);
        Assert.Contains(ReasonOf("prompts.zip"), message => message.Contains("was not found", StringComparison.Ordinal));
        using var again = new TemporaryFolder();
        SmallBackbone.Write(again.FullPath, Seed);
        _mlContext.Knowing(ClipBackbone.FromFolder(again.FullPath));
        using DplTransformer loaded = Load("prompts.zip");
        Assert.Equal(scores, Scores(loaded));
        Assert.Equal(ModelContents.PromptsOnly, loaded.Contents);
    }

    [Fact]
    public void A_loaded_model_can_be_saved_with_less_but_not_with_more()
    {
        FitAndSave("clip.zip", ModelContents.WithClip);
        using (DplTransformer whole = Load("clip.zip"))
        {
            whole.Contents = ModelContents.WithImageTower;
            Save(whole, "tower.zip");
            whole.Contents = ModelContents.PromptsOnly;
            Save(whole, "prompts.zip");
        }
        Assert.InRange(Size("prompts.zip"), 1, Size("tower.zip") - 1);
        Assert.InRange(Size("tower.zip"), 1, Size("clip.zip") - 1);
        using DplTransformer tower = Load("tower.zip");
        Assert.Contains(
            "image tower only",
            Assert.Throws<InvalidOperationException>(() => tower.Contents = ModelContents.WithClip).Message
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => tower.Contents = (ModelContents)7);
        Assert.Equal(ModelContents.WithImageTower, tower.Contents);
    }

    [Fact]
    public void The_whole_CLIP_gives_new_classes_words_and_another_fit()
    {
        string[] names = ["orange", "light_blue", "pink"];
        float[][] expected = [];
        IReadOnlyList<PromptRowWords> words = [];
        FitAndSave("clip.zip", ModelContents.WithClip, trained =>
        {
            using DplTransformer withNew = trained.WithClasses(names);
            (expected, words) = (Scores(withNew), trained.NearestWords(0, 3));
        });
        DplTransformer loaded = Load("clip.zip");
        Assert.Equal(words.SelectMany(row => row.Words), loaded.NearestWords(0, 3).SelectMany(row => row.Words));
        DplTransformer other = loaded.WithClasses(names);
        loaded.Dispose();
        Assert.Equal(expected, Scores(other));
        Assert.Equal(ModelContents.WithClip, other.Contents);
        using (DplTransformer fitted = Fit(other.Backbone, ModelContents.PromptsOnly))
            Assert.Equal(Scores(fitted).Length, images.Test.Count);
        ClipBackbone backbone = other.Backbone;
        other.Dispose();
        Assert.Contains("was disposed", Assert.Throws<IOException>(() => Fit(backbone, ModelContents.PromptsOnly)).Message);
    }

    [Fact]
    public void The_image_tower_alone_says_what_it_lacks()
    {
        FitAndSave("tower.zip", ModelContents.WithImageTower);
        using DplTransformer loaded = Load("tower.zip");
        foreach (Action action in new Action[] { () => loaded.WithClasses(["a", "b"]), () => loaded.NearestWords(0, 1) })
            Assert.Contains("image tower only", Assert.Throws<InvalidOperationException>(action).Message);
        Assert.False(loaded.Backbone.HasTextTower);
        Assert.Contains(
            "image tower only",
            Assert.Throws<ArgumentException>(() => Fit(loaded.Backbone, ModelContents.PromptsOnly)).Message
        );
    }

    [Theory]
    [InlineData("clip.config.json")]
    [InlineData("clip.preprocessor_config.json")]
    [InlineData("clip.vocab.json")]
    [InlineData("clip.merges.txt")]
    [InlineData("clip.image.safetensors")]
    [InlineData("clip.text.safetensors")]
    public void A_missing_or_damaged_entry_is_named(string name)
    {
        FitAndSave("whole.zip", ModelContents.WithClip);
        Change("whole.zip", "missing.zip", name, _ => null);
        Change("whole.zip", "garbage.zip", name, all => [.. all.Select(b => (byte)~b)]);
        Assert.Contains(ReasonOf("missing.zip"), message => message.Contains($"no entry '{name}'", StringComparison.Ordinal));
        Assert.Contains(ReasonOf("garbage.zip"), message => message.Contains(name, StringComparison.Ordinal));
        if (!name.EndsWith(".safetensors", StringComparison.Ordinal))
            return;
        Change("whole.zip", "short.zip", name, all => all[..^5]);
        Change("whole.zip", "flipped.zip", name, all => [.. all[..^6], (byte)(all[^6] ^ 1), .. all[^5..]]);
        Assert.Contains(ReasonOf("flipped.zip"), message =>
            message.Contains($"{name}: the weights do not match the SHA-256", StringComparison.Ordinal)
        );
        Change("whole.zip", "long.zip", name, all => [.. all, 0]);
        Assert.Contains(ReasonOf("short.zip"), message =>
            message.Contains($"'{name}' of the model zip ends too early", StringComparison.Ordinal)
        );
        Assert.Contains(ReasonOf("long.zip"), message => message.Contains($"{name}: more bytes follow", StringComparison.Ordinal));
    }

    [Fact]
    public void Weights_of_another_shape_are_refused_before_they_are_read()
    {
        FitAndSave("whole.zip", ModelContents.WithImageTower);
        Change("whole.zip", "other.zip", "clip.config.json", json =>
            System.Text.Encoding.UTF8.GetBytes(
                System.Text.Encoding.UTF8.GetString(json).Replace("\"projection_dim\": ", "\"projection_dim\": 1", StringComparison.Ordinal)
            )
        );
        Assert.Contains(ReasonOf("other.zip"), message =>
            message.Contains("clip.image.safetensors: tensor 'visual.proj'", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Loading_and_disposing_leaves_no_tensor_behind()
    {
        FitAndSave("clip.zip", ModelContents.WithClip);
        Change("clip.zip", "short.zip", "clip.text.safetensors", all => all[..^5]);
        LoadScoreDispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 3; i++)
            LoadScoreDispose();
        Assert.InRange(Tensor.TotalCount - before, long.MinValue, 0);

        void LoadScoreDispose()
        {
            using (DplTransformer loaded = Load("clip.zip"))
            {
                Scores(loaded);
                loaded.NearestWords(0, 1); // uses the text tower; WithClasses would create Parameters, which TorchSharp miscounts
                Save(loaded, "again.zip");
            }
            ReasonOf("short.zip");
        }
    }

    /// <summary>Trains on a CLIP whose folder is deleted afterwards. Returns the scores that the saved model gave.</summary>
    private float[][] FitAndSave(string zip, ModelContents contents, Action<DplTransformer>? use = null)
    {
        using var clip = new TemporaryFolder();
        SmallBackbone.Write(clip.FullPath, Seed);
        using DplTransformer trained = Fit(ClipBackbone.FromFolder(clip.FullPath), contents);
        use?.Invoke(trained);
        Save(trained, zip);
        return Scores(trained);
    }

    private DplTransformer Fit(ClipBackbone backbone, ModelContents contents)
    {
        var options = new DplTrainer.Options
        {
            Backbone = backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(backbone, 1),
            Training = { Epochs = 1, BatchSize = 9 },
            ModelContents = contents,
        };
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    private float[][] Scores(DplTransformer transformer) => [.. transformer.Transform(Test).GetColumn<float[]>("Score")];

    private void Save(DplTransformer transformer, string zip) => _mlContext.Model.Save(transformer, Test.Schema, _folder.File(zip));

    private DplTransformer Load(string zip) => (DplTransformer)new MLContext(1).Model.Load(_folder.File(zip), out _);

    private long Size(string zip) => new FileInfo(_folder.File(zip)).Length;

    /// <summary>The messages of the exceptions that loading throws, from the outermost to the innermost.</summary>
    private List<string> ReasonOf(string zip)
    {
        var messages = new List<string>();
        for (Exception? thrown = Assert.ThrowsAny<Exception>(() => Load(zip)); thrown is not null; thrown = thrown.InnerException)
            if (thrown is InvalidDataException or FileNotFoundException)
                messages.Add(thrown.Message);
        return messages;
    }

    /// <summary>Copies a zip with one entry changed or removed.</summary>
    private void Change(string from, string to, string name, Func<byte[], byte[]?> change)
    {
        File.Copy(_folder.File(from), _folder.File(to));
        using ZipArchive archive = ZipFile.Open(_folder.File(to), ZipArchiveMode.Update);
        ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == name);
        using var content = new MemoryStream();
        using (Stream read = entry.Open())
            read.CopyTo(content);
        string path = entry.FullName;
        entry.Delete();
        if (change(content.ToArray()) is not { } changed)
            return;
        using Stream write = archive.CreateEntry(path).Open();
        write.Write(changed);
    }
}
