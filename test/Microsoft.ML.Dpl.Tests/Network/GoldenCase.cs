using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Network;

/// <summary>One folder of reference values: a small CLIP and what the reference implementation computed with it.</summary>
internal sealed class GoldenCase : IDisposable
{
    private readonly SafetensorsFile _clip;
    private readonly Dictionary<string, SafetensorsFile> _files = [];

    /// <param name="name">One of <see cref="Names"/>.</param>
    public GoldenCase(string name)
    {
        LibTorch.EnsureLoaded();
        Folder = Path.Combine(GoldenFolder.Cases, name);
        _clip = SafetensorsFile.Open(Path.Combine(Folder, "clip.safetensors"));
        Config = OpenAIConfig.FromShapes(_clip);
        Image = ClipWeightsReader.ReadImageTower(_clip, ClipNaming.OpenAI, Config, CPU);
        Text = ClipWeightsReader.ReadTextTower(_clip, ClipNaming.OpenAI, Config, CPU);
    }

    /// <summary>The folders below <see cref="GoldenFolder.Cases"/> that hold a case.</summary>
    /// <exception cref="InvalidDataException">No folder holds a case.</exception>
    public static TheoryData<string> Names()
    {
        string[] folders =
        [
            .. Directory
                .EnumerateDirectories(GoldenFolder.Cases)
                .Where(d => File.Exists(Path.Combine(d, "supernet.safetensors")))
                .Order(StringComparer.Ordinal),
        ];
        if (folders.Length == 0)
            throw new InvalidDataException(
                $"'{GoldenFolder.Cases}' ({GoldenFolder.Variable}) holds no case: no folder in it has supernet.safetensors."
            );
        return new TheoryData<string>(folders.Select(folder => Path.GetFileName(folder)));
    }

    public string Folder { get; }
    public ClipConfig Config { get; }
    public ImageWeights Image { get; }
    public TextWeights Text { get; }
    public ITensorSource Raw => _clip;

    public Tensor this[string file, string tensor] => File_(file).Read(tensor);

    public bool Has(string file, string tensor) => File_(file).Entries.ContainsKey(tensor);

    public int[] Numbers(string file, string metadata) =>
        System.Text.Json.JsonSerializer.Deserialize<int[]>(File_(file).Metadata[metadata])!;

    public int Number(string file, string metadata) => int.Parse(File_(file).Metadata[metadata]);

    public ClassTexts Texts(string file) => new(Ids(this[file, "input.tokens"]), Text);

    /// <summary>The candidates' prompts of a layer, packed as the library holds them.</summary>
    public Tensor Packed(string file, string prefix, string branch, int layer, int candidates) =>
        cat([.. Enumerable.Range(1, candidates - 1).Select(k => this[file, $"{prefix}prompts.{branch}.{layer}.{k}"])], 0);

    public Supernet Supernet(string file, string prefix) =>
        new(new BranchPair<SupernetBranch>(Text: Branch(file, prefix, "text"), Image: Branch(file, prefix, "image")));

    public SupernetBranch Branch(string file, string prefix, string branch)
    {
        int[] candidates = Numbers(file, "candidates");
        using Tensor alphas = this[file, $"{prefix}alphas.{branch}"];
        return new SupernetBranch(
            candidates,
            alphas,
            [.. Enumerable.Range(0, (int)alphas.shape[0]).Select(l => Packed(file, prefix, branch, l, candidates.Length))]
        );
    }

    public FixedBranch Fixed(string file, string branch)
    {
        int[] lengths = Numbers(file, $"{branch}_lengths");
        return new FixedBranch([.. lengths.Select((n, l) => n == 0 ? null : this[file, $"prompts.{branch}.{l}"])], CPU);
    }

    public void Dispose()
    {
        Image.Dispose();
        Text.Dispose();
        _clip.Dispose();
        foreach (SafetensorsFile file in _files.Values)
            file.Dispose();
    }

    private static int[][] Ids(Tensor tokens) => [.. tokens.data<long>().ToArray().Select(id => (int)id).Chunk((int)tokens.shape[1])];

    private SafetensorsFile File_(string name) =>
        _files.TryGetValue(name, out SafetensorsFile? open)
            ? open
            : _files[name] = SafetensorsFile.Open(Path.Combine(Folder, name + ".safetensors"));
}
