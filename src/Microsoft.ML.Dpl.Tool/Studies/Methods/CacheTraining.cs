using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Tip-Adapter-F's training: the cache's keys are trained by AdamW (learning rate 1e-3 with cosine decay to 0, epsilon 1e-4,
/// weight decay 0.01) on the cross-entropy of the training images, in batches of 256, with the default weights of the cache.</summary>
internal static class CacheTraining
{
    public const int DefaultEpochs = 20;

    private const int BatchSize = 256;
    private const double Rate = 1e-3,
        Epsilon = 1e-4,
        WeightDecay = 0.01;

    /// <summary>Trains the model's keys in place.</summary>
    /// <param name="model">The model, whose keys are the embeddings of the training images.</param>
    /// <param name="epochs">Passes over the images, at least 1.</param>
    /// <param name="seed">The seed of the images' order.</param>
    /// <param name="cancellationToken">Checked before every step.</param>
    /// <exception cref="OperationCanceledException">The training was cancelled; the keys are unchanged.</exception>
    public static void Train(CacheModel model, int epochs, int seed, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        Tensor images = model.Keys.clone();
        var keys = new Parameter(model.Keys.clone());
        using AdamW optimizer = optim.AdamW([keys], Rate, eps: Epsilon, weight_decay: WeightDecay);
        Random random = StudySeeds.Random("order of cached images", seed);
        long[] order = [.. Enumerable.Range(0, (int)images.shape[0]).Select(i => (long)i)];
        int steps = epochs * ((order.Length + BatchSize - 1) / BatchSize),
            step = 0;
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            random.Shuffle(order);
            foreach (long[] batch in order.Chunk(BatchSize))
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var inner = NewDisposeScope();
                foreach (var group in optimizer.ParamGroups)
                    group.LearningRate = Rate * (1 + Math.Cos(Math.PI * step / steps)) / 2;
                Tensor rows = tensor(batch);
                Tensor logits = model.Logits(images.index_select(0, rows), keys, CacheWeights.Default);
                Tensor loss = -(logits.log_softmax(1) * model.Values.index_select(0, rows)).sum(1).mean();
                optimizer.zero_grad();
                loss.backward();
                optimizer.step();
                step++;
            }
        }
        using var still = no_grad();
        model.Keys.copy_(keys);
    }
}
