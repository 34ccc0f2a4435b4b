using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;

namespace PretrainTinyClip;

/// <summary>A batch of images, their distinct captions, and which captions are true of which images.</summary>
/// <param name="Planes">Pixels [images · 3 · size · size].</param>
/// <param name="Texts">Token ids of every distinct caption.</param>
/// <param name="Truth">Flattened [images, captions]: 1 if everything the caption says is true of the image, otherwise 0.</param>
/// <param name="Questions">Additional questions about every image.</param>
/// <param name="Count">Number of images.</param>
internal sealed record CaptionedBatch(
    byte[] Planes,
    IReadOnlyList<int[]> Texts,
    float[] Truth,
    IReadOnlyList<ImageQuestion> Questions,
    int Count
)
{
    /// <summary>The captions, then the answers of every question.</summary>
    public IReadOnlyList<int[]> AllTexts => [.. Texts, .. Questions.SelectMany(q => q.Texts)];
}

/// <summary>A multiple-choice question: exactly one of the texts is true of each image.</summary>
/// <param name="Texts">Token ids of every answer.</param>
/// <param name="Answers">Index of the true answer of each image, [images].</param>
internal sealed record ImageQuestion(IReadOnlyList<int[]> Texts, long[] Answers);

/// <summary>Draws batches in advance on a background thread that never uses libtorch.</summary>
internal sealed class CaptionedBatches : IDisposable
{
    private readonly DrawnImages _images;
    private readonly ClipTokenizer _tokenizer;
    private readonly ClipConfig _config;
    private readonly int _count,
        _questionSeed;
    private readonly BatchesAhead<CaptionedBatch> _ahead;

    /// <param name="images">The series of images.</param>
    /// <param name="tokenizer">The tokenizer of the model's vocabulary.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="count">Number of images in a batch.</param>
    /// <param name="firstBatch">Number of batches that earlier runs have used.</param>
    /// <param name="seed">The seed of the questions' wording.</param>
    public CaptionedBatches(DrawnImages images, ClipTokenizer tokenizer, ClipConfig config, int count, long firstBatch, int seed)
    {
        (_images, _tokenizer, _config, _count) = (images, tokenizer, config, count);
        _questionSeed = unchecked((int)(Seeds.Derive(seed, "questions") >> 33));
        _ahead = new BatchesAhead<CaptionedBatch>(Draw(firstBatch), capacity: 4);
    }

    /// <summary>Waits for the next batch.</summary>
    public CaptionedBatch Next(CancellationToken cancellationToken) => _ahead.Next(cancellationToken);

    public void Dispose() => _ahead.Dispose();

    private IEnumerable<CaptionedBatch> Draw(long batch)
    {
        using var painter = new ScenePainter(_config.ImageSize);
        for (; ; batch++)
            yield return Draw(painter, batch);
    }

    private CaptionedBatch Draw(ScenePainter painter, long batch)
    {
        var planes = new byte[_count * painter.Length];
        var scenes = new Scene[_count];
        var captions = new Dictionary<string, Caption>();
        for (int i = 0; i < _count; i++)
        {
            (scenes[i], Caption caption) = _images[batch * _count + i];
            painter.Paint(scenes[i], planes.AsSpan(i * painter.Length, painter.Length));
            captions.TryAdd(caption.Text, caption);
        }
        Caption[] different = [.. captions.Values];
        var truth = new float[_count * different.Length];
        for (int i = 0; i < _count; i++)
        for (int j = 0; j < different.Length; j++)
            truth[i * different.Length + j] = different[j].IsTrueOf(scenes[i]) ? 1 : 0;
        ImageQuestion[] questions =
        [
            .. Enum.GetValues<Drawing.Attribute>()
                .Select(attribute => new ImageQuestion(
                    [.. Caption.Question(attribute, _questionSeed, batch).Select(Encode)],
                    [.. scenes.Select(scene => (long)scene.Answer(attribute))]
                )),
        ];
        return new CaptionedBatch(planes, [.. different.Select(c => Encode(c.Text))], truth, questions, _count);
    }

    private int[] Encode(string text) => _tokenizer.Encode(text, _config.ContextLength, out _);
}
