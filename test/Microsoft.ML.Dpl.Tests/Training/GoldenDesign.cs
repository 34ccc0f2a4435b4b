using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>One case of another prompt design: a small CLIP, described by config.json, and the results of the design's authors for
/// it.</summary>
internal partial class GoldenDesign : IDisposable
{
    private readonly JsonDocument _config;
    private readonly SafetensorsFile _clip,
        _values;

    /// <param name="design">A folder below designs, such as promptsrc.</param>
    /// <param name="name">A case of it, such as tiny-a.</param>
    /// <param name="file">The name of one of its files, without the extension.</param>
    public GoldenDesign(string design, string name, string file)
    {
        LibTorch.EnsureLoaded();
        string folder = Path.Combine(Designs, design, name);
        FileName = file;
        _config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
        _values = SafetensorsFile.Open(Path.Combine(folder, file + ".safetensors"));
        _clip = SafetensorsFile.Open(ClipOf(folder, Setting("clip").GetString()!));
        Config = ReadConfig();
        Text = ClipWeightsReader.ReadTextTower(_clip, ClipNaming.OpenAI, Config, CPU);
    }

    public string FileName { get; }

    public ClipConfig Config { get; }

    public TextWeights Text { get; }

    /// <summary>CLIP's tensors, named as in its file.</summary>
    protected ITensorSource Clip => _clip;

    /// <summary>The file's metadata.</summary>
    protected IReadOnlyDictionary<string, string> Metadata => _values.Metadata;

    public bool Has(string tensor) => _values.Entries.ContainsKey(tensor);

    /// <summary>A value of config.json.</summary>
    public JsonElement Setting(string name) => _config.RootElement.GetProperty(name);

    /// <summary>The entry of the file in config.json.</summary>
    public JsonElement OfFile => Setting("files").GetProperty(FileName);

    public Tensor this[string tensor] => _values.Read(tensor);

    /// <summary>The design's files, as design, case and file, that hold a tensor.</summary>
    /// <exception cref="InvalidDataException">No file holds the tensor.</exception>
    public static TheoryData<string, string, string> FilesWith(string design, string tensor)
    {
        var files = new TheoryData<string, string, string>();
        foreach (string path in Directory.GetFiles(Path.Combine(Designs, design), "*.safetensors", SearchOption.AllDirectories).Order())
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            if (file.Entries.ContainsKey(tensor))
                files.Add(design, Path.GetFileName(Path.GetDirectoryName(path))!, Path.GetFileNameWithoutExtension(path));
        }
        return files.Count > 0 ? files : throw new InvalidDataException($"'{Designs}' has no file of {design} with a tensor '{tensor}'.");
    }

    /// <summary>[class][token] of a template: the classes' names, with underscores as spaces, encoded with the case's own vocabulary;
    /// neither padded nor truncated.</summary>
    public int[][] Encode(string template)
    {
        int vocabulary = Setting("vocab").GetInt32();
        return
        [
            .. Setting("class_names")
                .EnumerateArray()
                .Select(name => template.Replace("{}", name.GetString()!.Replace('_', ' '), StringComparison.Ordinal))
                .Select(text => (int[])[vocabulary - 2, .. Words(text), vocabulary - 1]),
        ];
    }

    /// <summary>The token ids of words in the case's own vocabulary, without start and end tokens.</summary>
    public int[] Words(string text) => [.. Word().Matches(text).SelectMany(word => Ids(word.Value))];

    /// <summary>[text][token] of [texts, 77], padding included.</summary>
    public static int[][] Rows(Tensor tokens) => [.. tokens.data<long>().ToArray().Select(id => (int)id).Chunk((int)tokens.shape[^1])];

    public virtual void Dispose()
    {
        Text.Dispose();
        _clip.Dispose();
        _values.Dispose();
        _config.Dispose();
    }

    /// <summary>The designs in the folder named by <see cref="GoldenFolder.Variable"/>, or the repository's if that folder has
    /// none.</summary>
    protected static string Designs =>
        Path.Combine(GoldenFolder.Cases, "designs") is var own && Directory.Exists(own) ? own : GoldenFolder.At("designs");

    private static string ClipOf(string caseFolder, string clip)
    {
        string[] folders =
        [
            caseFolder,
            Path.Combine(Designs, clip),
            Path.Combine(GoldenFolder.Cases, clip),
            Path.Combine(GoldenFolder.At("."), clip),
        ];
        return folders.Select(folder => Path.Combine(folder, "clip.safetensors")).FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"There is no clip.safetensors in any of {string.Join(", ", folders)}.");
    }

    private ClipConfig ReadConfig()
    {
        int Size(string name) => Setting(name).GetInt32();
        ClipActivation activation = Setting("activation").GetString() switch
        {
            "quick_gelu" => ClipActivation.QuickGelu,
            "gelu" => ClipActivation.Gelu,
            var other => throw new InvalidDataException($"The activation '{other}' is not known."),
        };
        ClipTransformerConfig Tower(string prefix, char letter) =>
            RandomClip.Tower(
                Size($"{letter}l"),
                Size($"{letter}w"),
                Size($"{letter}h"),
                (int)_clip.Entries[$"{prefix}resblocks.0.mlp.c_fc.weight"].Shape[0],
                activation
            );
        return new ClipConfig
        {
            EmbeddingWidth = Size("embed"),
            Text = Tower("transformer.", 't'),
            ContextLength = (int)_clip.Entries["positional_embedding"].Shape[0],
            VocabularySize = Size("vocab"),
            Image = Tower("visual.transformer.", 'v'),
            ImageSize = Size("res"),
            PatchSize = Size("patch"),
        };
    }

    private IEnumerable<int> Ids(string word) => Setting("words").GetProperty(word).EnumerateArray().Select(id => id.GetInt32());

    [GeneratedRegex(@"[a-zA-Z]+|[^\sa-zA-Z]")]
    private static partial Regex Word();
}
