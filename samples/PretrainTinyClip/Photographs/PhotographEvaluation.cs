using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>Zero-shot accuracy, during training, on photographs that are not trained on.</summary>
internal sealed class PhotographEvaluation
{
    private const int Chunk = 128;

    private readonly IReadOnlyList<Photograph> _validation;
    private readonly IReadOnlyList<(string Path, int Class)> _caltech;
    private readonly string[] _caltechNames;

    /// <param name="validation">Validation images of Tiny ImageNet; empty: it is left out of the results.</param>
    /// <param name="caltech">A table of Caltech101's test images (ImagePath, Label); null: none.</param>
    public PhotographEvaluation(IReadOnlyList<Photograph> validation, string? caltech)
    {
        _validation = validation;
        (_caltech, _caltechNames) = ([], []);
        if (caltech is null)
            return;
        string[][] rows = [.. File.ReadLines(caltech).Skip(1).Select(line => line.Split('\t'))];
        _caltechNames = [.. rows.Select(r => r[1]).Distinct().Order(StringComparer.Ordinal)];
        _caltech = [.. rows.Select(r => (Path.Combine(Path.GetDirectoryName(caltech)!, r[0]), Array.IndexOf(_caltechNames, r[1])))];
    }

    /// <param name="training">The model.</param>
    /// <param name="classes">Number of Tiny ImageNet's classes, which come first.</param>
    /// <param name="count">Maximum number of images of each data set.</param>
    public IReadOnlyList<ZeroShotResult> Run(PhotographTraining training, int classes, int count)
    {
        using var noGrad = no_grad();
        var results = new List<ZeroShotResult>();
        if (_validation.Count > 0)
            results.Add(
                Ask(
                    training,
                    "Tiny ImageNet",
                    [.. Enumerable.Range(0, classes).Select(training.Captions.Plain)],
                    Thinned(_validation, count),
                    v => (v.Path, v.Class)
                )
            );
        if (_caltech.Count > 0)
            results.Add(
                Ask(training, "Caltech101", [.. _caltechNames.Select(n => $"a photo of a {n}.")], Thinned(_caltech, count), c => c)
            );
        return results;
    }

    private static ZeroShotResult Ask<T>(
        PhotographTraining training,
        string task,
        IReadOnlyList<string> texts,
        IReadOnlyList<T> images,
        Func<T, (string Path, int Class)> of
    )
    {
        using var scope = NewDisposeScope();
        using var resources = new StepResources();
        Tensor features = training.Model.UnitTexts(
            [.. texts.Select(t => training.Tokenizer.Encode(t, training.Clip.Config.ContextLength, out _))],
            resources
        );
        int right = 0;
        for (int start = 0; start < images.Count; start += Chunk)
        {
            using var chunk = NewDisposeScope();
            int size = PhotographSettings.ImageSize,
                count = Math.Min(Chunk, images.Count - start);
            var pixels = new byte[count][];
            Parallel.For(0, count, i => pixels[i] = PhotographFolders.Square(new Photograph(of(images[start + i]).Path, 0, size)));
            Tensor units = training.UnitImages([.. pixels.SelectMany(p => p)], count);
            long[] best = [.. units.matmul(features.t()).argmax(1).data<long>()];
            right += best.Where((b, i) => b == of(images[start + i]).Class).Count();
        }
        return new ZeroShotResult(task, texts.Count, (double)right / images.Count, 1.0 / texts.Count, images.Count);
    }

    private static IReadOnlyList<T> Thinned<T>(IReadOnlyList<T> all, int count) =>
        all.Count <= count ? all : [.. Enumerable.Range(0, count).Select(i => all[(int)((long)i * all.Count / count)])];
}
