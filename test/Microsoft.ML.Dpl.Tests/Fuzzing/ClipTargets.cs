using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>The readers of a CLIP's files, and of the parts of a CLIP in a model zip.</summary>
internal sealed partial class ClipTargets : IDisposable
{
    private readonly string _folder;
    private readonly RandomClip _clip;
    private readonly byte[] _vocabulary,
        _merges;

    public ClipTargets(string folder)
    {
        _folder = folder;
        string clip = InFolder("clip");
        Directory.CreateDirectory(clip);
        SmallBackbone.Write(clip, seed: 5, RandomClip.Shape(imageSize: 16, patch: 8));
        (_vocabulary, _merges) = (Of("vocab.json"), Of("merges.txt"));
        _clip = new RandomClip(RandomClip.Shape(imageSize: 16, patch: 8), seed: 6);
        All =
        [
            Safetensors(),
            SafetensorsFromStream(),
            Index(),
            Config(),
            OpenClipConfig(),
            Preprocessor(),
            Vocabulary(),
            OpenAIVocabulary(),
            Folder(clip),
            OpenAIWeights(),
            CarriedWeights(),
            CarriedArrays(),
            Prompts(),
            Mixture(),
            Context(),
        ];

        byte[] Of(string name) => File.ReadAllBytes(Path.Combine(clip, name));
    }

    public IReadOnlyList<FuzzTarget> All { get; }

    public void Dispose() => _clip.Dispose();

    private string InFolder(string name) => Path.Combine(_folder, name);

    private static byte[] SmallFile()
    {
        using var scope = NewDisposeScope();
        return SafetensorsBytes.Write(
            [
                new("a", arange(6f, ScalarType.Float32).reshape(2, 3)),
                new("flags", tensor(new[] { true, false })),
                new("empty", zeros([0, 4], ScalarType.Int64)),
                new("scale", tensor(1.5)),
            ],
            new Dictionary<string, string> { ["format"] = "pt" }
        );
    }

    /// <summary>Damages either the whole file, or only its header, which is then stored with its correct length.</summary>
    public static Func<Random, byte[]> DamagedSafetensors(byte[] file)
    {
        int headerLength = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        byte[] data = file[(8 + headerLength)..];
        Mutator whole = new(file),
            header = new(file[8..(8 + headerLength)]);
        return random =>
        {
            if (random.Next(2) == 0)
                return whole.Next(random);
            byte[] bytes = SafetensorsBytes.Raw(header.Next(random), data.Length);
            data.CopyTo(bytes, bytes.Length - data.Length);
            return bytes;
        };
    }

    private static FuzzTarget Safetensors() =>
        new(
            "safetensors",
            12,
            DamagedSafetensors(SmallFile()),
            bytes =>
            {
                using var file = SafetensorsFile.FromBytes(bytes, "fuzzed");
                foreach (string name in file.Entries.Keys)
                    file.Read(name).Dispose();
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [SmallFile()],
        };

    private static FuzzTarget SafetensorsFromStream() =>
        new(
            "safetensors-stream",
            6,
            DamagedSafetensors(SmallFile()),
            bytes =>
            {
                foreach (Tensor tensor in SafetensorsStream.Read(new MemoryStream(bytes), "fuzzed", _ => { }).Values)
                    tensor.Dispose();
            },
            typeof(InvalidDataException),
            typeof(EndOfStreamException)
        )
        {
            Whole = [SmallFile()],
        };

    private FuzzTarget Index()
    {
        File.WriteAllBytes(InFolder("a.safetensors"), SmallFile());
        string path = InFolder("model.safetensors.index.json");
        var mutator = new Mutator(
            Encoding.UTF8.GetBytes("""{"metadata":{"total_size":32},"weight_map":{"a":"a.safetensors","scale":"a.safetensors"}}""")
        );
        return new FuzzTarget(
            "safetensors-index",
            3,
            mutator.Next,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                using var source = ShardedSafetensors.Open(path);
                foreach (string name in source.Entries.Keys)
                    source.Read(name).Dispose();
            },
            typeof(InvalidDataException),
            typeof(FileNotFoundException)
        );
    }

    private static FuzzTarget Config()
    {
        ClipConfig config = RandomClip.Shape(imageSize: 16, patch: 8);
        var mutator = new Mutator(
            ClipJson.Serialize(config),
            """{"model_type":"clip","text_config":{"hidden_act":"gelu","layer_norm_eps":1e-5},"vision_config":{"num_channels":3}}"""u8.ToArray()
        );
        return new FuzzTarget(
            "config.json",
            6,
            mutator.Next,
            bytes => ClipConfigReader.Parse(bytes, "fuzzed"),
            typeof(InvalidDataException)
        );
    }

    private FuzzTarget OpenClipConfig()
    {
        string path = InFolder("open_clip_config.json");
        byte[] whole =
            """{"model_cfg":{"embed_dim":16,"quick_gelu":true,"vision_cfg":{"image_size":16,"patch_size":8,"width":24,"layers":3,"head_width":8,"mlp_ratio":3.0},"text_cfg":{"context_length":16,"vocab_size":515,"width":32,"heads":2,"layers":2}},"preprocess_cfg":{"mean":[0.5,0.25,0.125],"std":[1,0.5,0.25],"interpolation":"bicubic","resize_mode":"shortest"}}"""u8.ToArray();
        return new FuzzTarget(
            "open_clip_config.json",
            4,
            new Mutator(whole).Next,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                OpenClipConfigReader.FromFile(path);
                ClipImageProcessorConfig preprocessing = OpenClipConfigReader.Preprocessing(path, 16);
                Assert.All(preprocessing.Mean.Concat(preprocessing.Deviation), value => Assert.True(float.IsFinite(value)));
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [whole],
        };
    }

    private static FuzzTarget Preprocessor()
    {
        var mutator = new Mutator(
            ClipJson.Serialize(ClipImageProcessorConfig.Default(16)),
            """{"do_resize":true,"do_center_crop":true,"do_normalize":true,"do_rescale":true,"rescale_factor":0.00392156862745098,"resample":3,"size":16,"crop_size":16}"""u8.ToArray()
        );
        var image = new RgbImage(40, 30, new byte[3 * 40 * 30]);
        return new FuzzTarget(
            "preprocessor_config.json",
            5,
            mutator.Next,
            bytes =>
            {
                var processor = new ClipImageProcessor(ClipImageProcessorConfig.Parse(bytes, "fuzzed", 16));
                using var scope = NewDisposeScope();
                Assert.True(processor.Normalise(tensor(processor.Prepare(image), [1, 3, 16, 16])).isfinite().all().item<bool>());
            },
            typeof(InvalidDataException)
        );
    }

    private FuzzTarget Vocabulary()
    {
        Mutator ids = new(_vocabulary),
            merges = new(_merges, "a b\n"u8.ToArray());
        return new FuzzTarget(
            "vocabulary",
            5,
            random =>
            {
                byte[] first = random.Next(2) == 0 ? ids.Next(random) : _vocabulary;
                return
                [
                    .. BitConverter.GetBytes(first.Length),
                    .. first,
                    .. ReferenceEquals(first, _vocabulary) ? merges.Next(random) : _merges,
                ];
            },
            bytes =>
            {
                int length = BitConverter.ToInt32(bytes);
                var tokenizer = new ClipTokenizer(
                    ClipVocabulary.ReadHuggingFace(
                        new MemoryStream(bytes, 4, length),
                        "vocab",
                        new MemoryStream(bytes, 4 + length, bytes.Length - 4 - length),
                        "merges"
                    )
                );
                foreach (int id in tokenizer.Encode("a red photo", 16, out _))
                    _ = tokenizer.Read(id);
            },
            typeof(InvalidDataException)
        )
        {
            BytesPerByte = 200,
            BytesAtLeast = 8 << 20,
        };
    }

    private FuzzTarget OpenAIVocabulary()
    {
        byte[] text = "\"bpe_simple_vocab_16e6.txt#version: 0.2\ni n\nt h\na n</w>\nr e</w>\n"u8.ToArray(),
            packed = Packed(text);
        Mutator lines = new(text),
            file = new(packed);
        string path = InFolder("bpe.txt.gz");
        return new FuzzTarget(
            "openai-vocabulary",
            5,
            random => random.Next(3) == 0 ? file.Next(random) : Packed(lines.Next(random)),
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                _ = ClipTokenizer.FromOpenAI(path).Encode("a thin photo", 16, out _);
            },
            typeof(InvalidDataException)
        )
        {
            BytesAtLeast = 16 << 20,
        };
    }

    private static FuzzTarget Folder(string clip)
    {
        string path = Path.Combine(clip, "config.json");
        var mutator = new Mutator(File.ReadAllBytes(path));
        return new FuzzTarget(
            "clip-folder",
            3,
            mutator.Next,
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                ClipBackbone backbone = ClipBackbone.FromFolder(clip);
                _ = backbone.CreateTokenizer();
                _ = backbone.CreateImageProcessor();
                backbone.RentImageTower(CPU).Dispose();
                backbone.RentTextTower(CPU).Dispose();
            },
            typeof(InvalidDataException),
            typeof(FileNotFoundException)
        )
        {
            BytesAtLeast = 16 << 20,
        };
    }

    private FuzzTarget OpenAIWeights()
    {
        string path = InFolder("openai.safetensors"),
            vocabulary = InFolder("bpe.txt.gz.whole");
        File.WriteAllBytes(vocabulary, Packed("#version: 0.2\ni n\n"u8.ToArray()));
        // In OpenAI's files every attention head has a width of 64.
        ClipConfig config = RandomClip.Shape(imageSize: 16, patch: 8);
        config = config with { Image = config.Image with { Width = 64, Heads = 1 }, Text = config.Text with { Width = 64, Heads = 1 } };
        using var clip = new RandomClip(config, seed: 7);
        byte[] whole = SafetensorsBytes.Write(clip.Entries.Keys.Select(name => KeyValuePair.Create(name, clip.Read(name))));
        return new FuzzTarget(
            "openai-weights",
            3,
            DamagedSafetensors(whole),
            bytes =>
            {
                File.WriteAllBytes(path, bytes);
                ClipBackbone backbone = ClipBackbone.FromOpenAI(path, vocabulary);
                backbone.RentImageTower(CPU).Dispose();
                backbone.RentTextTower(CPU).Dispose();
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [whole],
            BytesAtLeast = 16 << 20,
        };
    }

    private FuzzTarget CarriedWeights() =>
        CarriedWeights("carried-weights", stream => FoldedWeights.ReadImageTower(stream, "fuzzed", _clip.Config).Dispose());

    private FuzzTarget CarriedArrays() =>
        CarriedWeights("carried-arrays", stream => FoldedWeights.ReadImageTowerArrays(stream, "fuzzed", _clip.Config));

    private FuzzTarget CarriedWeights(string name, Action<Stream> read)
    {
        using var stream = new MemoryStream();
        FoldedWeights.Write(stream, _clip.Image);
        byte[] whole = stream.ToArray();
        return new FuzzTarget(
            name,
            4,
            DamagedSafetensors(whole),
            bytes => read(new MemoryStream(bytes)),
            typeof(InvalidDataException),
            typeof(EndOfStreamException)
        )
        {
            Whole = [whole],
        };
    }

    private static byte[] Packed(byte[] text)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(text);
        return packed.ToArray();
    }
}
