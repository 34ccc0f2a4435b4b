using Microsoft.ML.Dpl.Clip;

namespace PretrainTinyClip;

/// <summary>The shape to be trained and for how long.</summary>
/// <param name="ImageSize">Pixels a side.</param>
/// <param name="PatchSize">Pixels a side, a divisor of <paramref name="ImageSize"/>.</param>
/// <param name="Width">Of the image tower, a multiple of 64.</param>
/// <param name="Layers">Of the image tower.</param>
/// <param name="TextWidth">Of the text tower, a multiple of 64.</param>
/// <param name="TextLayers">Of the text tower.</param>
/// <param name="EmbeddingWidth">Of the space that images and texts share.</param>
/// <param name="Batch">Images per step, at least 2.</param>
/// <param name="LearningRate">AdamW's, at its highest.</param>
/// <param name="WeightDecay">AdamW's, for matrices alone.</param>
/// <param name="Steps">Length of the run; <c>null</c>: <paramref name="Length"/> counts.</param>
/// <param name="Length">Length of the run where no steps are given.</param>
/// <param name="Seed">Of images and initial values.</param>
/// <param name="EasyImages">So many at the beginning are made easier, ever less so.</param>
internal sealed record PretrainSettings(
    int ImageSize = 48,
    int PatchSize = 8,
    int Width = 128,
    int Layers = 5,
    int TextWidth = 128,
    int TextLayers = 3,
    int EmbeddingWidth = 128,
    int Batch = 64,
    double LearningRate = 1e-3,
    double WeightDecay = 0.05,
    int? Steps = null,
    TimeSpan Length = default,
    int Seed = 1,
    long EasyImages = 400_000
)
{
    private const int ContextLength = 32;

    /// <summary>The share of the run in which the learning rate rises.</summary>
    private const double WarmUp = 0.03;

    /// <summary>The model's shape with a vocabulary.</summary>
    /// <exception cref="ArgumentException">A width, size or count is out of range.</exception>
    public ClipConfig Shape(int vocabularySize, int endOfTextId)
    {
        if (Width <= 0 || Width % TowerShape.HeadWidth != 0 || TextWidth <= 0 || TextWidth % TowerShape.HeadWidth != 0)
            throw new ArgumentException($"Widths must be multiples of {TowerShape.HeadWidth}; these are {Width} and {TextWidth}.");
        if (PatchSize <= 0 || ImageSize % PatchSize != 0)
            throw new ArgumentException($"Images of {ImageSize} pixels cannot be cut into patches of {PatchSize}: choose a multiple.");
        if (Layers < 1 || TextLayers < 1)
            throw new ArgumentException("Both towers need at least one layer.");
        if (Batch < 2)
            throw new ArgumentException($"A batch of {Batch} has nothing to contrast: take at least 2.");
        return new ClipConfig
        {
            EmbeddingWidth = EmbeddingWidth,
            Text = TowerShape.From(TextLayers, TextWidth),
            ContextLength = ContextLength,
            VocabularySize = vocabularySize,
            EndOfTextId = endOfTextId,
            Image = TowerShape.From(Layers, Width),
            ImageSize = ImageSize,
            PatchSize = PatchSize,
        };
    }

    /// <summary>The learning rate after a share of the run, from 0 to 1: a linear rise, then a cosine down to a hundredth.</summary>
    public double LearningRateAt(double share)
    {
        if (share < WarmUp)
            return LearningRate * Math.Max(share / WarmUp, 0.02);
        double behind = Math.Min(1, (share - WarmUp) / (1 - WarmUp));
        return LearningRate * (0.01 + 0.99 * 0.5 * (1 + Math.Cos(Math.PI * behind)));
    }
}

/// <summary>The shape of each tower that is trained here.</summary>
internal static class TowerShape
{
    /// <summary>Of each attention head.</summary>
    public const int HeadWidth = 64;

    /// <param name="layers">Number of blocks.</param>
    /// <param name="width">A multiple of <see cref="HeadWidth"/>.</param>
    public static ClipTransformerConfig From(int layers, int width) =>
        new()
        {
            Layers = layers,
            Width = width,
            Heads = width / HeadWidth,
            MlpWidth = 4 * width,
            Activation = ClipActivation.QuickGelu,
            NormEpsilon = 1e-5,
        };
}
