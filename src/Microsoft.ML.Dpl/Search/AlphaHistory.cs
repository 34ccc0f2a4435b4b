using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl;

/// <summary>
/// The alphas of a search as plain arrays, for every epoch and both branches, with methods to save and load them as .npy or safetensors
/// files, which Python can read.
/// </summary>
public sealed class AlphaHistory
{
    internal const string TextName = "alphas.text",
        ImageName = "alphas.image",
        CandidatesName = "candidates";

    // Lengths in the paper's figure and in the authors' code.
    private static readonly int[] PaperLengths = [0, 2, 4, 6],
        CodeLengths = [0, 1, 2, 3, 4, 5, 6];

    private readonly BranchPair<float[,,]> _alphas; // [epochs, layers, candidates] each

    /// <param name="candidateLengths">Candidate prompt lengths, increasing from 0.</param>
    /// <param name="text">[epochs, text layers, candidates], before the softmax, in order of epochs.</param>
    /// <param name="image">[epochs, image layers, candidates], before the softmax, in order of epochs.</param>
    /// <exception cref="ArgumentException">The arrays do not match each other or the candidates, are empty, or contain a number that is not
    /// finite.</exception>
    public AlphaHistory(IReadOnlyList<int> candidateLengths, float[,,] text, float[,,] image)
    {
        ArgumentNullException.ThrowIfNull(candidateLengths);
        SupernetBranch.CheckCandidates(candidateLengths);
        if (candidateLengths[^1] > PromptConfiguration.MaximumLength)
            throw new ArgumentException(
                $"A candidate length of {candidateLengths[^1]} is above {PromptConfiguration.MaximumLength}.",
                nameof(candidateLengths)
            );
        CandidateLengths = [.. candidateLengths];
        _alphas = new BranchPair<float[,,]>(Text: Checked(text, "text"), Image: Checked(image, "image"));
        if (text.GetLength(0) != image.GetLength(0))
            throw new ArgumentException(
                $"The text alphas have {text.GetLength(0)} epochs, but the image alphas {image.GetLength(0)}.",
                nameof(image)
            );
    }

    /// <summary>Candidate prompt lengths, increasing from 0.</summary>
    public IReadOnlyList<int> CandidateLengths { get; }

    /// <summary>Number of epochs, at least 1.</summary>
    public int Epochs => _alphas.Text.GetLength(0);

    /// <summary>A copy of [epochs, text layers, candidates], before the softmax.</summary>
    public float[,,] ToTextArray() => (float[,,])_alphas.Text.Clone();

    /// <summary>A copy of [epochs, image layers, candidates], before the softmax.</summary>
    public float[,,] ToImageArray() => (float[,,])_alphas.Image.Clone();

    /// <summary>
    /// The configuration chosen after an epoch: for each layer the candidate with the largest alpha, the shortest of equal ones (METHOD
    /// §2).
    /// </summary>
    /// <param name="epoch">The epoch, from 0; null: the last one.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such epoch.</exception>
    public PromptConfiguration Configuration(int? epoch = null)
    {
        int chosen = epoch ?? Epochs - 1;
        if (chosen < 0 || chosen >= Epochs)
            throw new ArgumentOutOfRangeException(nameof(epoch), epoch, $"There are epochs 0 to {Epochs - 1}.");
        return PromptConfiguration.FromAlphas(CandidateLengths, _alphas.Select(branch => Layers(branch, chosen)));
    }

    /// <summary>The alphas of a search by this library.</summary>
    /// <param name="report">The report from <see cref="DplTransformer.SearchReport"/>.</param>
    public static AlphaHistory From(SearchReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return new AlphaHistory(
            report.CandidateLengths,
            Stacked([.. report.Epochs.Select(e => e.TextAlphas)]),
            Stacked([.. report.Epochs.Select(e => e.ImageAlphas)])
        );
    }

    /// <summary>
    /// Writes <c>alphas.text</c> and <c>alphas.image</c>, [epochs, layers, candidates] each, together with the candidate lengths.
    /// </summary>
    /// <param name="path">A file name ending in .safetensors, which is overwritten; or a folder for .npy files, which must be empty or not
    /// exist yet.</param>
    /// <exception cref="IOException">The path cannot be written, or the folder is not empty.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        LibTorch.EnsureLoaded();
        var tensors = new Dictionary<string, Tensor>();
        using var scope = NewDisposeScope();
        AddTo(tensors, out string candidates);
        ArrayFiles.Write(path, tensors, new Dictionary<string, string> { [CandidatesName] = candidates });
    }

    /// <summary>Reads what <see cref="Save"/> writes, or the alphas among exported prompts.</summary>
    /// <param name="path">A .safetensors file or a folder of .npy files with <c>alphas.text</c> and <c>alphas.image</c>, [epochs, layers,
    /// candidates] or [layers, candidates].</param>
    /// <param name="candidateLengths">Null: the lengths stored in the file; if there are none, <see cref="LengthsFor"/>.</param>
    /// <exception cref="FileNotFoundException">There is nothing at <paramref name="path"/>.</exception>
    /// <exception cref="InvalidDataException">The file is damaged, or the arrays are not alphas.</exception>
    public static AlphaHistory Load(string path, IReadOnlyList<int>? candidateLengths = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using ITensorSource source = ArrayFiles.Open(path);
        return ReadFrom(source, candidateLengths) ?? throw new InvalidDataException($"{path} holds no '{TextName}' and '{ImageName}'.");
    }

    /// <summary>
    /// Reads one .npy file per branch, [epochs, layers, candidates] or [layers, candidates], of any float type and memory order.
    /// </summary>
    /// <param name="textPath">The text tower's alphas.</param>
    /// <param name="imagePath">The image tower's alphas. For the files of the paper's authors see <see cref="AlphaFiles"/>.</param>
    /// <param name="candidateLengths">Null: the result of <see cref="LengthsFor"/> for the number of columns.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or the arrays are not alphas or do not match each other.</exception>
    public static AlphaHistory Load(string textPath, string imagePath, IReadOnlyList<int>? candidateLengths = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(textPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(imagePath);
        return Made($"{textPath} and {imagePath}", Read(textPath), Read(imagePath), candidateLengths);

        static float[,,] Read(string path)
        {
            LibTorch.EnsureLoaded();
            using var scope = NewDisposeScope();
            using NpyFile file = NpyFile.Open(path);
            return Cube(ArrayFiles.FloatsOf(file.Read(), path), path);
        }
    }

    /// <summary>
    /// The candidate lengths to assume where only their number is known: 0, 2, 4, 6 for four, as in the paper's figure, and 0 to 6 for
    /// seven, as in the authors' code.
    /// </summary>
    /// <param name="candidates">The number of candidates.</param>
    /// <exception cref="ArgumentException">For any other number, the lengths must be given explicitly.</exception>
    public static IReadOnlyList<int> LengthsFor(int candidates) =>
        candidates == PaperLengths.Length ? PaperLengths
        : candidates == CodeLengths.Length ? CodeLengths
        : throw new ArgumentException(
            $"The alphas have {candidates} candidates per layer, and nothing says which prompt lengths they stand for: give the "
                + $"{candidates} lengths, increasing from 0.",
            nameof(candidates)
        );

    /// <summary>The alphas among other arrays, or null if there are none.</summary>
    internal static AlphaHistory? ReadFrom(ITensorSource source, IReadOnlyList<int>? candidateLengths)
    {
        if (!source.Entries.ContainsKey(TextName) && !source.Entries.ContainsKey(ImageName))
            return null;
        float[,,] Branch(string name) => Cube(ArrayFiles.ReadFloats(source, name), $"{source.Location}: '{name}'");
        IReadOnlyList<int>? stated = candidateLengths;
        if (stated is null && source.Metadata.TryGetValue(CandidatesName, out string? json))
        {
            try
            {
                stated = JsonSerializer.Deserialize<int[]>(json);
            }
            catch (JsonException e)
            {
                throw new InvalidDataException(
                    $"{source.Location}: '{CandidatesName}' is '{json}', but a list such as [0, 2, 4] is expected.",
                    e
                );
            }
        }
        return Made(source.Location, Branch(TextName), Branch(ImageName), stated);
    }

    /// <summary>Adds both arrays in the caller's dispose scope.</summary>
    internal void AddTo(Dictionary<string, Tensor> tensors, out string candidates)
    {
        LibTorch.EnsureLoaded();
        (tensors[TextName], tensors[ImageName]) = (NativeTensor.From(_alphas.Text), NativeTensor.From(_alphas.Image));
        candidates = string.Create(CultureInfo.InvariantCulture, $"[{string.Join(", ", CandidateLengths)}]");
    }

    private static AlphaHistory Made(string where, float[,,] text, float[,,] image, IReadOnlyList<int>? candidateLengths)
    {
        try
        {
            return new AlphaHistory(candidateLengths ?? LengthsFor(text.GetLength(2)), text, image);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{where}: {e.Message}", e);
        }
    }

    private static float[,,] Cube((float[] Values, int[] Shape) array, string what)
    {
        int[] shape = array.Shape.Length == 2 ? [1, .. array.Shape] : array.Shape;
        if (shape.Length != 3)
            throw new InvalidDataException(
                $"{what} has the shape [{string.Join(", ", array.Shape)}], but alphas are [epochs, layers, candidates] or [layers, "
                    + "candidates]."
            );
        var cube = new float[shape[0], shape[1], shape[2]];
        Buffer.BlockCopy(array.Values, 0, cube, 0, array.Values.Length * sizeof(float));
        return cube;
    }

    private static float[,,] Stacked(IReadOnlyList<IReadOnlyList<IReadOnlyList<float>>> epochs)
    {
        var cube = new float[epochs.Count, epochs[0].Count, epochs[0][0].Count];
        for (int epoch = 0; epoch < cube.GetLength(0); epoch++)
        {
            for (int layer = 0; layer < cube.GetLength(1); layer++)
            {
                for (int candidate = 0; candidate < cube.GetLength(2); candidate++)
                    cube[epoch, layer, candidate] = epochs[epoch][layer][candidate];
            }
        }
        return cube;
    }

    private float[,,] Checked(float[,,] alphas, string branch)
    {
        ArgumentNullException.ThrowIfNull(alphas, branch);
        if (alphas.Length == 0)
            throw new ArgumentException($"The {branch} alphas are empty.", branch);
        if (alphas.GetLength(2) != CandidateLengths.Count)
            throw new ArgumentException(
                $"The {branch} alphas have {alphas.GetLength(2)} candidates per layer, but {CandidateLengths.Count} candidate lengths "
                    + "are given.",
                branch
            );
        foreach (float alpha in alphas)
            if (!float.IsFinite(alpha))
                throw new ArgumentException($"The {branch} alphas hold {alpha}; every one must be finite.", branch);
        return (float[,,])alphas.Clone();
    }

    /// <summary>[layer][candidate] of one epoch.</summary>
    private static IReadOnlyList<IReadOnlyList<float>> Layers(float[,,] alphas, int epoch) =>
        [
            .. Enumerable
                .Range(0, alphas.GetLength(1))
                .Select(layer => Enumerable.Range(0, alphas.GetLength(2)).Select(candidate => alphas[epoch, layer, candidate]).ToArray()),
        ];
}
