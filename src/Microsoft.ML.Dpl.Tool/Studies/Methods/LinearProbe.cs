using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>
/// ML.NET's logistic regression (<c>LbfgsMaximumEntropy</c>) on CLIP's image embeddings, as in CLIP's paper (Radford et al., ICML 2021,
/// arXiv 2103.00020, appendix A.3): at most 1,000 iterations, and the L2 regularisation that has the highest accuracy on the validation
/// images, found by a coarse-to-fine search from 10⁻⁶ to 10⁶ down to eighths of a power of ten.
/// </summary>
/// <param name="refits">Whether to retrain on training and validation images once the regularisation is chosen, as in that paper.</param>
internal sealed class LinearProbe(bool refits) : IStudyMethod
{
    private const string Kind = "linear-probe";
    private const int MostIterations = 1000;

    // The regularisation is 10^(step / 8).
    private const int StepsPerDecade = 8,
        FarthestStep = 6 * StepsPerDecade,
        FirstStride = 2 * StepsPerDecade;

    // 10^0 = 1, ML.NET's default, used if there are no validation images.
    private const int DefaultStep = 0;

    public static MethodFamily Family { get; } =
        new(
            [Kind],
            $"{Kind} (logistic regression on image vectors), optionally followed by {PromptWords.Refit} (at the chosen regularisation on "
                + "validation images, too)",
            Read
        );

    public bool KnowsNewClasses => false;

    public void Check(ClipBackbone backbone)
    {
        // Any CLIP will do.
    }

    public IStudyClassifier Fit(MethodTask task)
    {
        MLContext context = task.CreateContext();
        return Fit(task, context, new ClipFeatures(task, context), Kind, refits);
    }

    /// <summary>Fits a probe on features of any network.</summary>
    /// <param name="task">The images.</param>
    /// <param name="context">The trainer's context.</param>
    /// <param name="features">The features; owned by the returned classifier.</param>
    /// <param name="kind">Name of the method, for warnings.</param>
    /// <param name="refits">Whether to retrain on training and validation images once the regularisation is chosen.</param>
    public static IStudyClassifier Fit(MethodTask task, MLContext context, IImageFeatures features, string kind, bool refits)
    {
        try
        {
            IReadOnlyList<LabelledVector> train = Rows(task, features, task.Train),
                validation = Rows(task, features, task.Validation);
            var trials = new Trials(context, task, train, validation);
            int step = validation.Count > 0 ? trials.Best() : DefaultStep;
            if (validation.Count == 0)
                task.Warn($"{kind}: there are no validation images to choose the L2 regularisation by, so it is 1, ML.NET's default.");
            LogisticRegression probe = refits && validation.Count > 0 ? trials.Train(step, [.. train, .. validation]) : trials.At(step);
            return new FeatureClassifier(task.Classes, features, probe.Score)
            {
                TrainedNumbers = (long)task.Classes.Count * (train[0].Features.Length + 1),
                ValidationAccuracy = validation.Count > 0 ? (double)trials.ScoreAt(step).Right / validation.Count : null,
                Choice = $"L2 {Weight(step).ToString("0.###E+0", CultureInfo.InvariantCulture)}",
            };
        }
        catch
        {
            features.Dispose();
            throw;
        }
    }

    private static LinearProbe Read(MethodText text)
    {
        text.RefuseValue();
        if (text.Options.FirstOrDefault(word => word != PromptWords.Refit) is { } unknown)
            throw text.Unknown(unknown, PromptWords.Refit);
        return new LinearProbe(text.Options.Count > 0);
    }

    private static double Weight(int step) => Math.Pow(10, (double)step / StepsPerDecade);

    private static IReadOnlyList<LabelledVector> Rows(MethodTask task, IImageFeatures features, IReadOnlyList<Data.ImageRow> rows) =>
        LogisticRegression.Rows(features.Images(rows, task.CancellationToken), task.Places(rows));

    /// <summary>Caches probes and their scores by regularisation, so that each is trained once.</summary>
    private sealed class Trials(
        MLContext context,
        MethodTask task,
        IReadOnlyList<LabelledVector> train,
        IReadOnlyList<LabelledVector> validation
    )
    {
        private readonly Dictionary<int, LogisticRegression> _probes = [];
        private readonly Dictionary<int, LabelScore> _scores = [];

        public int Best()
        {
            int best = -FarthestStep;
            for (int step = -FarthestStep; step <= FarthestStep; step += FirstStride)
                best = Better(best, step);
            for (int stride = FirstStride / 2; stride >= 1; stride /= 2)
            {
                int middle = best;
                foreach (int step in new[] { middle - stride, middle + stride })
                    best = Math.Abs(step) <= FarthestStep ? Better(best, step) : best;
            }
            return best;
        }

        public LogisticRegression At(int step) =>
            _probes.TryGetValue(step, out LogisticRegression? known) ? known : _probes[step] = Train(step, train);

        public LabelScore ScoreAt(int step) =>
            _scores.TryGetValue(step, out LabelScore known)
                ? known
                : _scores[step] = LabelScore.Compute(
                    At(step).Score([.. validation.Select(row => row.Features)]),
                    [.. validation.Select(row => (int)row.Label)]
                );

        public LogisticRegression Train(int step, IReadOnlyList<LabelledVector> rows)
        {
            task.CancellationToken.ThrowIfCancellationRequested();
            return LogisticRegression.Train(context, rows, task.Classes.Count, options =>
            {
                options.L1Regularization = 0;
                options.L2Regularization = (float)Weight(step);
                options.MaximumNumberOfIterations = MostIterations;
            });
        }

        private int Better(int best, int step) => ScoreAt(step).IsBetterThan(ScoreAt(best)) ? step : best;
    }
}
