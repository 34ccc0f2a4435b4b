using Microsoft.ML.Dpl.Clip;

namespace PretrainTinyClip;

/// <summary>The shape of the model to train, and the training settings.</summary>
/// <param name="ImageSize">Side of an image in pixels.</param>
/// <param name="PatchSize">Side of a patch in pixels, a divisor of <paramref name="ImageSize"/>.</param>
/// <param name="Width">Width of the image tower, a multiple of 64.</param>
/// <param name="Layers">Number of layers of the image tower.</param>
/// <param name="TextWidth">Width of the text tower, a multiple of 64.</param>
/// <param name="TextLayers">Number of layers of the text tower.</param>
/// <param name="EmbeddingWidth">Width of the space that images and texts share.</param>
/// <param name="Batch">Images per step, at least 2.</param>
/// <param name="LearningRate">AdamW's highest learning rate.</param>
/// <param name="WeightDecay">AdamW's weight decay, only for matrices.</param>
/// <param name="Steps">Length of the run in steps; <c>null</c>: <paramref name="Length"/> applies.</param>
/// <param name="Length">Duration of the run if <paramref name="Steps"/> is not given.</param>
/// <param name="Seed">Seed of images and initial values.</param>
/// <param name="EasyImages">The number of images at the beginning that are made easier, to a decreasing degree.</param>
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

    /// <summary>Fraction of the run in which the learning rate rises.</summary>
    private const double WarmUp = 0.03;

    /// <summary>Returns the model's shape for a vocabulary.</summary>
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

    /// <summary>The learning rate after a fraction of the run, 0 to 1: linear warm-up, then cosine decay to a hundredth.</summary>
    public double LearningRateAt(double share)
    {
        if (share < WarmUp)
            return LearningRate * Math.Max(share / WarmUp, 0.02);
        double behind = Math.Min(1, (share - WarmUp) / (1 - WarmUp));
        return LearningRate * (0.01 + 0.99 * 0.5 * (1 + Math.Cos(Math.PI * behind)));
    }
}

/// <summary>The shapes of the towers.</summary>
internal static class TowerShape
{
    /// <summary>Width of each attention head.</summary>
    public const int HeadWidth = 64;

    /// <param name="layers">Number of blocks.</param>
    /// <param name="width">Width of the tower, a multiple of <see cref="HeadWidth"/>.</param>
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
