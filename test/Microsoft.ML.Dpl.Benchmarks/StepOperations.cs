using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>
/// Floating-point operations of the matrix products in a step (a multiplication and an addition are two), computed from the shape: the
/// operations that remain according to METHOD.md §4 when every candidate has its prompt in every layer. Elementwise work is not counted.
/// </summary>
/// <param name="AlphaHalf">The upper half of a search step: forward, and backward to the alphas.</param>
/// <param name="PromptHalf">The lower half of a search step: forward, and backward to the prompts.</param>
/// <param name="Training">One training step.</param>
internal sealed record StepOperations(double AlphaHalf, double PromptHalf, double Training)
{
    /// <param name="config">The CLIP.</param>
    /// <param name="batch">The number of images.</param>
    /// <param name="texts">Token ids of the classes; a shared prefix is counted once.</param>
    /// <param name="candidates">Prompt lengths of the search.</param>
    /// <param name="length">Prompt length of every layer in training.</param>
    public static StepOperations Count(ClipConfig config, int batch, int[][] texts, int[] candidates, int length)
    {
        long grid = config.Grid,
            tokens = 1 + grid * grid;
        // Every distinct prefix of the texts is one row, whose last token attends to the whole prefix.
        int[] beginnings =
        [
            .. texts
                .SelectMany(t => Enumerable.Range(1, t.Length).Select(n => t[..n]))
                .DistinctBy(b => string.Join(',', b))
                .Select(b => b.Length),
        ];
        double rows = beginnings.Length,
            pairs = beginnings.Sum(n => (double)n),
            endPairs = texts.Sum(t => t.Length);
        double embedding = 2.0 * batch * grid * grid * 3 * config.PatchSize * config.PatchSize * config.Image.Width;
        var image = new Branch(config.Image, batch * tokens, batch, (double)batch * tokens * tokens, (double)batch * tokens);
        var text = new Branch(config.Text, rows, texts.Length, pairs, endPairs);
        double Both(double promptRows, bool toPrompts) =>
            image.Operations(promptRows, toPrompts) + text.Operations(promptRows, toPrompts) + embedding;
        return new StepOperations(
            Both(candidates.Sum(), toPrompts: false),
            Both(candidates.Sum(), toPrompts: true),
            Both(length, toPrompts: true)
        );
    }

    /// <param name="Config">The tower's width, layers and MLP width.</param>
    /// <param name="Rows">Token rows per layer.</param>
    /// <param name="Read">Rows read after the last layer.</param>
    /// <param name="Pairs">Query-key pairs among tokens in a layer.</param>
    /// <param name="LastPairs">Query-key pairs in the last layer, where only the rows that are read have queries.</param>
    private sealed record Branch(ClipTransformerConfig Config, double Rows, double Read, double Pairs, double LastPairs)
    {
        public double Operations(double promptRows, bool toPrompts)
        {
            double sum = 0,
                d = Config.Width,
                mlp = Config.MlpWidth;
            for (int layer = 0; layer < Config.Layers; layer++)
            {
                bool first = layer == 0,
                    last = layer == Config.Layers - 1;
                double asking = last ? Read : Rows,
                    pairs = last ? LastPairs : Pairs;
                double project = 2 * d * (2 * d * Rows + d * asking),
                    finish = 2 * asking * (d * d + 2 * d * mlp);
                double promptProject = 4 * promptRows * d * d;
                double attend = 4 * pairs * d,
                    promptAttend = 4 * asking * promptRows * d;
                sum += project + finish + promptProject + attend + promptAttend;
                // Backward: through everything after the attention; through the tokens only if an earlier layer has something to learn.
                sum += finish + 2 * asking * promptRows * d;
                if (!first)
                    sum += project + 8 * pairs * d + 2 * asking * promptRows * d;
                if (toPrompts)
                    sum += promptProject + 4 * asking * promptRows * d;
            }
            return sum;
        }
    }
}
