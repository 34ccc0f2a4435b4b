using Microsoft.ML.Dpl.Tool.Studies.Methods;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>The arithmetic of the methods on image features, compared with numbers computed by hand.</summary>
public sealed class CacheModelTests
{
    // Two cached images of the first class and one of the second, on the unit circle.
    private static readonly float[][] Keys =
    [
        [1, 0],
        [0.8f, 0.6f],
        [0, 1],
    ];
    private static readonly int[] Places = [0, 0, 1];
    private static readonly float[][] Texts =
    [
        [0.6f, 0.8f],
        [0, 1],
    ];

    public CacheModelTests() => LibTorchRuntime.Load();

    [Fact]
    public void A_cache_adds_to_the_texts_what_the_formula_says()
    {
        using var model = new CacheModel(Keys, Places, Texts, logitScale: 2);
        float[] found = Assert.Single(
            model.Probabilities(
                [
                    [0.6f, 0.8f],
                ],
                new CacheWeights(1.5, 3)
            )
        );
        // The affinities are 0.6, 0.96 and 0.8, the cosines to the texts 1 and 0.8.
        double first = 1.5 * (Math.Exp(-3 * 0.4) + Math.Exp(-3 * 0.04)) + 2,
            second = 1.5 * Math.Exp(-3 * 0.2) + 1.6;
        Assert.Equal(1 / (1 + Math.Exp(second - first)), found[0], 1e-6);
        Assert.Equal(1 / (1 + Math.Exp(first - second)), found[1], 1e-6);
    }

    [Fact]
    public void The_grids_are_those_of_the_authors()
    {
        // Four grids of 20 alphas, all starting at 0.1, so 77 alphas are distinct.
        Assert.Equal((77, 200), (CacheSearch.Alphas.Count, CacheSearch.Betas.Count));
        Assert.Equal(0.1, CacheSearch.Alphas[0]);
        Assert.Equal(28.505, CacheSearch.Alphas[^1], 1e-12);
        Assert.Contains(CacheSearch.Alphas, alpha => Math.Abs(alpha - 2.855) < 1e-12);
        Assert.Equal(0.1, CacheSearch.Betas[0]);
        Assert.Equal(29.8505, CacheSearch.Betas[^1], 1e-12);
    }

    [Fact]
    public void The_best_of_the_grid_is_found()
    {
        using var model = new CacheModel(Keys, Places, Texts, logitScale: 2);
        float[][] images =
        [
            [0.8f, 0.6f],
            [0.28f, 0.96f],
            [0.6f, 0.8f],
            [0, 1],
            [-0.6f, 0.8f],
        ];
        int[] places = [0, 1, 0, 1, 0];
        (CacheWeights weights, LabelScore score) = CacheSearch.Best(model, images, places, CancellationToken.None);
        // Every setting in turn, by the formula.
        LabelScore highest = new(-1, 0);
        foreach (double beta in CacheSearch.Betas)
        foreach (double alpha in CacheSearch.Alphas)
            highest = Plain(alpha, beta).IsBetterThan(highest) ? Plain(alpha, beta) : highest;
        Assert.Equal(highest.Right, score.Right);
        Assert.Equal(highest.Loss, score.Loss, 1e-4);
        Assert.Equal(highest.Loss, Plain(weights.Alpha, weights.Beta).Loss, 1e-4);

        LabelScore Plain(double alpha, double beta) =>
            LabelScore.Compute([.. images.Select(image => Probabilities(image, alpha, beta))], places);

        static float[] Probabilities(float[] image, double alpha, double beta)
        {
            double Dot(float[] other) => image[0] * other[0] + image[1] * other[1];
            double[] logits = [2 * Dot(Texts[0]), 2 * Dot(Texts[1])];
            foreach (var (key, place) in Keys.Zip(Places))
                logits[place] += alpha * Math.Exp(-beta * (1 - Dot(key)));
            float first = (float)(1 / (1 + Math.Exp(logits[1] - logits[0])));
            return [first, 1 - first];
        }
    }

    [Fact]
    public void Training_steps_the_keys_as_AdamW_does()
    {
        using var model = new CacheModel(
            [
                [1, 0],
                [0, 1],
            ],
            [0, 1],
            [
                [1, 0],
                [0, 1],
            ],
            logitScale: 1
        );
        CacheTraining.Train(model, epochs: 1, seed: 1, CancellationToken.None);
        float[][] keys = FeatureTensors.Rows(model.Keys);
        // The first step of Adam is rate · g / (|g| + epsilon), after a weight decay of rate · 0.01. The gradient of a key is β · exp(−β (1
        // − affinity)) times the difference of probability and label, times the image, averaged over two images.
        double wrong = Math.Exp(Math.Exp(-5.5)) / (Math.Exp(Math.Exp(-5.5)) + Math.Exp(2));
        double own = -5.5 * wrong / 2,
            other = 5.5 * Math.Exp(-5.5) * wrong / 2;
        double Step(double value, double gradient) => value * (1 - 1e-5) - 1e-3 * gradient / (Math.Abs(gradient) + 1e-4);
        Assert.Equal(Step(1, own), keys[0][0], 1e-6);
        Assert.Equal(Step(0, other), keys[0][1], 1e-6);
        Assert.Equal(Step(0, other), keys[1][0], 1e-6);
        Assert.Equal(Step(1, own), keys[1][1], 1e-6);
    }

    [Fact]
    public void Training_is_of_the_seed_and_lowers_the_loss()
    {
        float[][] images = [.. Enumerable.Range(0, 300).Select(i => OnCircle(i * 0.7))];
        int[] places = [.. images.Select(image => image[0] > 0.3 ? 0 : 1)];
        (float[][] Keys, double Loss) Trained(int epochs, int seed)
        {
            using var model = new CacheModel(images, places, Texts, logitScale: 2);
            if (epochs > 0)
                CacheTraining.Train(model, epochs, seed, CancellationToken.None);
            return (FeatureTensors.Rows(model.Keys), LabelScore.Compute(model.Probabilities(images, CacheWeights.Default), places).Loss);
        }
        Assert.Equal(Trained(3, 1).Keys, Trained(3, 1).Keys);
        Assert.NotEqual(Trained(3, 1).Keys, Trained(3, 2).Keys);
        Assert.True(Trained(3, 1).Loss < Trained(0, 1).Loss);
    }

    [Fact]
    public void The_nearest_mean_has_the_largest_cosine()
    {
        float[][] means = NearestMean.Means(Keys, Places, classes: 2);
        // The mean (1.8, 0.6) has the direction (3, 1).
        Assert.Equal(3 / Math.Sqrt(10), means[0][0], 1e-6);
        Assert.Equal(1 / Math.Sqrt(10), means[0][1], 1e-6);
        Assert.Equal([0f, 1f], means[1]);
        float[] found = Assert.Single(
            NearestMean.Probabilities(
                [
                    [0.6f, 0.8f],
                ],
                means,
                logitScale: 10
            )
        );
        double first = 10 * (0.6 * 3 + 0.8) / Math.Sqrt(10),
            second = 8;
        Assert.Equal(1 / (1 + Math.Exp(second - first)), found[0], 1e-5);
    }

    [Fact]
    public void A_score_counts_images_first_and_then_losses()
    {
        LabelScore score = LabelScore.Compute(
            [
                [0.75f, 0.25f],
                [0.5f, 0.5f],
                [1, 0],
            ],
            [0, 1, 1]
        );
        // With equal scores the first class is predicted.
        Assert.Equal(1, score.Right);
        Assert.Equal(-Math.Log(0.75) - Math.Log(0.5) - Math.Log(1e-15), score.Loss, 1e-9);
        Assert.True(new LabelScore(2, 9).IsBetterThan(score));
        Assert.True(new LabelScore(1, 0.5).IsBetterThan(score));
        Assert.False(score.IsBetterThan(score));
    }

    private static float[] OnCircle(double angle) => [(float)Math.Cos(angle), (float)Math.Sin(angle)];
}
