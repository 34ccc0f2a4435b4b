using Microsoft.ML.Dpl.Clip;

namespace PretrainTinyClip.Photographs;

/// <summary>The shape of the model that is trained on photographs, and the training settings.</summary>
/// <param name="Steps">Length of the run in steps. A finished run resumes if this is increased.</param>
/// <param name="Seed">Seed of images and initial values.</param>
/// <param name="Photographs">Number of photographs per step.</param>
/// <param name="Drawings">Number of drawings per step.</param>
/// <param name="LearningRate">The highest learning rate.</param>
/// <param name="WeightDecay">Weight decay, only for matrices.</param>
/// <param name="Workers">Number of threads that divide a step among themselves; other numbers give other last bits.</param>
/// <param name="Falling">Fraction of the run, at its end, in which the learning rate falls, above 0 and at most 1.</param>
internal sealed record PhotographSettings(
    int Steps = 20_000,
    int Seed = 1,
    int Photographs = 128,
    int Drawings = 32,
    double LearningRate = 1.5e-3,
    double WeightDecay = 0.05,
    int Workers = 2,
    double Falling = 0.5
)
{
    public const int ImageSize = 112,
        PatchSize = 16,
        Patches = 49;

    private const int Width = 192,
        Layers = 8,
        TextWidth = 128,
        TextLayers = 4,
        ContextLength = 48,
        WarmUpSteps = 250,
        KeptPatches = 24;

    /// <summary>Fraction of the run, at its end, in which all patches are processed.</summary>
    private const double Whole = 0.15;

    public static ClipConfig Shape(int vocabularySize, int endOfTextId)
    {
        return new ClipConfig
        {
            EmbeddingWidth = Width,
            Text = TowerShape.From(TextLayers, TextWidth),
            ContextLength = ContextLength,
            VocabularySize = vocabularySize,
            EndOfTextId = endOfTextId,
            Image = TowerShape.From(Layers, Width),
            ImageSize = ImageSize,
            PatchSize = PatchSize,
        };
    }

    /// <summary>The learning rate: linear warm-up, a long plateau, and a linear decay at the end. Runs of any length start in the same way,
    /// so a run can be extended.</summary>
    public double LearningRateAt(long step)
    {
        double rise = Math.Min(1, (step + 1.0) / WarmUpSteps),
            fall = Math.Min(1, (Steps - step) / (Falling * Steps));
        return LearningRate * Math.Min(rise, Math.Max(fall, 0.01));
    }

    public bool IsPlateau(long step) => step < (1 - Falling) * Steps;

    public int KeptAt(long step) => step < (1 - Whole) * Steps ? KeptPatches : Patches;
}
