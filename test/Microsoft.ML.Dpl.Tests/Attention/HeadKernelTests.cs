using Microsoft.ML.Dpl.Attention;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Runtime;

namespace Microsoft.ML.Dpl.Tests.Attention;

/// <summary>How the kernel uses the buffers that it is given. Its numerical results are checked in
/// <see cref="AttentionKernelTests"/>.</summary>
public class HeadKernelTests
{
    private const int Heads = 3,
        HeadWidth = 5,
        Width = Heads * HeadWidth;

    /// <summary>The results do not depend on the initial contents of the kernel's output and scratch buffers.</summary>
    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public unsafe void By_head_all_is_written_before_it_is_read(bool separateQueries)
    {
        SgemmTests.Require();
        const int Sequences = 2,
            Keys = 21;
        int queries = separateQueries ? 1 : Keys,
            parts = separateQueries ? 2 : 3,
            all = Sequences * queries;
        int[] lengths = [2, 1];
        var kernel = new HeadKernel(Sequences, queries, Keys, Heads, HeadWidth, lengths);
        float[] Numbers(int count, int seed)
        {
            Random random = Seeds.Random(seed, "kernel");
            return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        }
        float[][] Run(float before)
        {
            AlignedFloats Given(int count, int seed) => new(Numbers(count, seed));
            AlignedFloats Written(long count) => new(Enumerable.Repeat(before, (int)count).ToArray());
            using AlignedFloats rows = Given(Sequences * Keys * parts * Width, 1),
                asked = Given(all * Width, 2),
                prompts = Given(3 * 2 * Width, 3);
            using AlignedFloats weights = Given(3, 4),
                gradient = Given(all * Width, 5);
            using AlignedFloats shares = Written(all * Heads * 3),
                attention = Written(kernel.AttentionSize),
                totals = Written(kernel.TotalsSize);
            using AlignedFloats kept = Written(all * Heads * 2),
                keptInAll = Written(all * Heads),
                tokensOnly = Written(all * Width),
                output = Written(all * Width);
            using AlignedFloats scratch = Written(Math.Max(kernel.ForwardScratch, kernel.BackwardScratch)),
                toRows = Written(rows.Length),
                toAsked = Written(asked.Length);
            using var toPrompts = new AlignedFloats(new float[prompts.Length]);
            double[] toWeights = new double[3];
            fixed (double* weightGradient = toWeights)
            {
                var pass = new ForwardPass
                {
                    Queries = separateQueries ? asked.Start : rows.Start,
                    QueryStride = separateQueries ? Width : parts * Width,
                    Keys = rows.Start + (parts - 2) * Width,
                    Values = rows.Start + (parts - 1) * Width,
                    KeyStride = parts * Width,
                    PromptKeys = prompts.Start,
                    PromptValues = prompts.Start + Width,
                    Weights = weights.Start,
                    Shares = shares.Start,
                    Attention = attention.Start,
                    Totals = totals.Start,
                    Kept = kept.Start,
                    KeptInAll = keptInAll.Start,
                    TokensOnly = tokensOnly.Start,
                    Output = output.Start,
                    Scratch = scratch.Start,
                };
                kernel.Forward(pass);
                scratch.Span.Fill(before);
                kernel.Backward(
                    pass,
                    new BackwardPass
                    {
                        OutputGradient = gradient.Start,
                        QueryGradients = separateQueries ? toAsked.Start : toRows.Start,
                        QueryGradientStride = separateQueries ? Width : parts * Width,
                        KeyGradients = toRows.Start + (parts - 2) * Width,
                        ValueGradients = toRows.Start + (parts - 1) * Width,
                        KeyGradientStride = parts * Width,
                        PromptKeyGradients = toPrompts.Start,
                        PromptValueGradients = toPrompts.Start + Width,
                        WeightGradients = weightGradient,
                    }
                );
            }
            return
            [
                output.Span.ToArray(),
                toRows.Span.ToArray(),
                separateQueries ? toAsked.Span.ToArray() : [],
                toPrompts.Span.ToArray(),
                [.. toWeights.Select(value => (float)value)],
            ];
        }
        float[][] expected = Run(0),
            actual = Run(float.NaN);
        Assert.DoesNotContain(expected.SelectMany(values => values), value => !float.IsFinite(value));
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i]);
    }
}
