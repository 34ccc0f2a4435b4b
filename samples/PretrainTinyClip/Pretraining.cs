using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>A progress report of a run.</summary>
/// <param name="Step">Number of steps taken.</param>
/// <param name="Share">Completed fraction of the run, 0 to 1.</param>
/// <param name="Loss">Mean loss since the last report.</param>
/// <param name="Floor">Mean of the smallest possible loss, which is above 0 since several captions may be true of an image.</param>
/// <param name="LearningRate">The current learning rate.</param>
/// <param name="LogitScale">Factor on cosine similarities.</param>
/// <param name="ImagesPerSecond">Images per second since the last report.</param>
/// <param name="Elapsed">Total time over all sessions of the run.</param>
internal sealed record PretrainReport(
    long Step,
    double Share,
    double Loss,
    double Floor,
    double LearningRate,
    double LogitScale,
    double ImagesPerSecond,
    TimeSpan Elapsed
);

/// <summary>Trains a CLIP from scratch on drawn images.</summary>
internal sealed class Pretraining : IDisposable
{
    /// <summary>The logarithm of 100, to which OpenAI limits the factor on similarities, too.</summary>
    private static readonly double MaximumLogitScale = Math.Log(100);

    private readonly PretrainSettings _settings;
    private readonly DrawnImages _images;
    private readonly AdamW _optimizer;
    private RunPosition _position = new(0, TimeSpan.Zero);

    /// <param name="settings">Settings of the training.</param>
    /// <param name="folder">Output folder: the vocabulary is written immediately, the model at every save.</param>
    /// <param name="device">The device to compute on.</param>
    public Pretraining(PretrainSettings settings, string folder, Device device)
    {
        (_settings, Folder, _images) = (settings, folder, new DrawnImages(settings.Seed, settings.EasyImages));
        Directory.CreateDirectory(folder);
        Vocabulary = PairVocabulary.Learn(new DrawnImages(settings.Seed));
        Vocabulary.Save(folder);
        Tokenizer = ClipTokenizer.FromHuggingFace(Path.Combine(folder, "vocab.json"), Path.Combine(folder, "merges.txt"));
        ClipConfig config = settings.Shape(Vocabulary.Size, Vocabulary.EndId);
        using Generator generator = Seeds.Generator(settings.Seed, "initial values");
        Clip = new LearnedClip(config, new InitialValues(config, generator).Draw, device);
        Model = new ContrastiveModel(Clip);
        // Weight decay applies only to matrices other than embeddings, not to norms, biases or the logit scale.
        bool Decays(string name) => Clip.Values[name].shape.Length > 1 && !name.Contains("embedding", StringComparison.Ordinal);
        AdamW.ParamGroup Group(bool decays) =>
            new(
                Clip.Values.Where(v => Decays(v.Key) == decays).Select(v => v.Value),
                new AdamW.Options
                {
                    LearningRate = settings.LearningRate,
                    beta1 = 0.9,
                    beta2 = 0.98,
                    eps = 1e-6,
                    weight_decay = decays ? settings.WeightDecay : 0,
                }
            );
        _optimizer = new AdamW([Group(true), Group(false)], settings.LearningRate, 0.9, 0.98, 1e-6);
    }

    public string Folder { get; }

    public LearnedClip Clip { get; }

    public ContrastiveModel Model { get; }

    public PairVocabulary Vocabulary { get; }

    public ClipTokenizer Tokenizer { get; }

    public RunPosition Position => _position;

    /// <summary>Completed fraction of the run, 0 to 1.</summary>
    public double Share =>
        Math.Clamp(_settings.Steps is int steps ? (double)_position.Step / steps : _position.Elapsed / _settings.Length, 0, 1);

    private Dictionary<string, Tensor> Tensors => Clip.Values.ToDictionary(v => v.Key, v => (Tensor)v.Value);

    /// <summary>Resumes from a checkpoint.</summary>
    /// <exception cref="InvalidDataException">The file is not a checkpoint of this shape.</exception>
    public void Resume(string checkpoint) => _position = Checkpoint.Load(checkpoint, Tensors, _optimizer);

    /// <summary>Saves the model and, if a path is given, the checkpoint.</summary>
    public void Save(string? checkpoint)
    {
        HuggingFaceFolder.Save(Folder, Clip, Vocabulary);
        if (checkpoint is not null)
            Checkpoint.Save(checkpoint, Tensors, _optimizer, _position);
    }

    /// <summary>Computes zero-shot accuracies on held-out drawings.</summary>
    public IReadOnlyList<ZeroShotResult> Evaluate(int images) =>
        ZeroShotEvaluation.Run(Model, Clip.Config, Tokenizer, ZeroShotEvaluation.HeldOut(_settings.Seed), images);

    /// <summary>Trains until the end of the run or until cancelled.</summary>
    /// <param name="report">Called every <paramref name="reportEvery"/> steps.</param>
    /// <param name="reportEvery">Number of steps between reports, at least 1.</param>
    /// <param name="save">Called every <paramref name="saveEvery"/>.</param>
    /// <param name="saveEvery">Time between saves.</param>
    /// <param name="cancellationToken">Ends the run after the current step.</param>
    public void Run(Action<PretrainReport> report, int reportEvery, Action save, TimeSpan saveEvery, CancellationToken cancellationToken)
    {
        using var batches = new CaptionedBatches(_images, Tokenizer, Clip.Config, _settings.Batch, _position.Step, _settings.Seed);
        if (Share < 1)
            new TrainingLoop
            {
                Step = () => Step(batches.Next(CancellationToken.None), _settings.LearningRateAt(Share)),
                IsLast = position =>
                {
                    _position = position;
                    return Share >= 1;
                },
                Report = (means, speed) =>
                    report(
                        new PretrainReport(
                            _position.Step,
                            Share,
                            means[0],
                            means[1],
                            _settings.LearningRateAt(Share),
                            Math.Exp(Clip.LogitScale.item<float>()),
                            speed * _settings.Batch,
                            _position.Elapsed
                        )
                    ),
                ReportEvery = reportEvery,
                Save = save,
                SaveEvery = saveEvery,
            }.Run(_position, cancellationToken);
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        Clip.Dispose();
    }

    private double[] Step(CaptionedBatch batch, double learningRate)
    {
        using var scope = NewDisposeScope();
        using var resources = new StepResources();
        foreach (var group in _optimizer.ParamGroups)
            group.LearningRate = learningRate;
        var (loss, floor) = Model.Loss(
            Model.UnitImages(batch.Planes, batch.Count, resources),
            batch,
            Model.UnitTexts(batch.AllTexts, resources)
        );
        double number = loss.item<float>();
        if (!double.IsFinite(number))
            throw new InvalidOperationException($"The loss became {number} in step {_position.Step + 1}: lower --learning-rate.");
        _optimizer.zero_grad();
        loss.backward();
        nn.utils.clip_grad_norm_(Clip.Values.Values, 1.0);
        _optimizer.step();
        using (no_grad())
            Clip.LogitScale.BoundInPlace(0, MaximumLogitScale);
        return [number, floor.item<float>()];
    }
}
