using Microsoft.ML.Dpl.Prompts;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Runtime;

namespace Microsoft.ML.Dpl.Tests.Prompts;

/// <summary>What the kernel makes of the memory that it is given. Its numbers are checked in <see cref="AttentionKernelTests"/>.</summary>
public class HeadKernelTests
{
    private const int Heads = 3, HeadWidth = 5, Width = Heads * HeadWidth;

    /// <summary>Whatever lies in memory that the kernel is given to write to.</summary>
    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    public unsafe void By_head_all_is_written_before_it_is_read(bool separateQueries)
    {
        SgemmTests.Require();
        const int Sequences = 2, Keys = 21;
        int queries = separateQueries ? 1 : Keys, parts = separateQueries ? 2 : 3, all = Sequences * queries;
        int[] lengths = [2, 1];
        var kernel = new HeadKernel(Sequences, queries, Keys, Heads, HeadWidth, lengths);
        float[] Numbers(int count, int seed)
        {
            Random random = Seeds.Random(seed, "kernel");
            return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        }
        float[] rows = Numbers(Sequences * Keys * parts * Width, 1), asked = Numbers(all * Width, 2), prompts = Numbers(3 * 2 * Width, 3), weights = Numbers(3, 4), gradient = Numbers(all * Width, 5);
        float[][] Run(float before)
        {
            float[] Written(long count) => [.. Enumerable.Repeat(before, (int)count)];
            float[] shares = Written(all * Heads * 3), attention = Written(kernel.AttentionSize), totals = Written(kernel.TotalsSize), kept = Written(all * Heads * 2), inAll = Written(all * Heads), tokens = Written(all * Width), output = Written(all * Width);
            float[] scratch = Written(Math.Max(kernel.ForwardScratch, kernel.BackwardScratch)), toRows = Written(rows.Length), toAsked = Written(asked.Length), toPrompts = new float[prompts.Length];
            double[] toWeights = new double[3];
            fixed (float* row = rows, query = asked, prompt = prompts, weight = weights, share = shares, weighed = attention, total = totals, keep = kept, keptInAll = inAll, tokensOnly = tokens, result = output, room = scratch, toOutput = gradient, rowGradient = toRows, queryGradient = toAsked, promptGradient = toPrompts)
            fixed (double* weightGradient = toWeights)
            {
                var pass = new ForwardPass
                {
                    Queries = separateQueries ? query : row,
                    QueryStride = separateQueries ? Width : parts * Width,
                    Keys = row + (parts - 2) * Width,
                    Values = row + (parts - 1) * Width,
                    KeyStride = parts * Width,
                    PromptKeys = prompt,
                    PromptValues = prompt + Width,
                    Weights = weight,
                    Shares = share,
                    Attention = weighed,
                    Totals = total,
                    Kept = keep,
                    KeptInAll = keptInAll,
                    TokensOnly = tokensOnly,
                    Output = result,
                    Scratch = room,
                };
                kernel.Forward(pass);
                Array.Fill(scratch, before);
                kernel.Backward(pass, new BackwardPass
                {
                    OutputGradient = toOutput,
                    QueryGradients = separateQueries ? queryGradient : rowGradient,
                    QueryGradientStride = separateQueries ? Width : parts * Width,
                    KeyGradients = rowGradient + (parts - 2) * Width,
                    ValueGradients = rowGradient + (parts - 1) * Width,
                    KeyGradientStride = parts * Width,
                    PromptKeyGradients = promptGradient,
                    PromptValueGradients = promptGradient + Width,
                    WeightGradients = weightGradient,
                });
            }
            return [output, toRows, separateQueries ? toAsked : [], toPrompts, [.. toWeights.Select(value => (float)value)]];
        }
        float[][] expected = Run(0), actual = Run(float.NaN);
        Assert.DoesNotContain(expected.SelectMany(values => values), value => !float.IsFinite(value));
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i]);
    }
}
