using Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace PretrainTinyClip.Photographs;

/// <summary>Means of the losses since the last report.</summary>
internal sealed record PhotographLosses(double Classes, double Drawings, double Pooled, double Cells);

/// <summary>
/// Trains a CLIP on labelled photographs with a teacher's features, and on drawings. The loss of a step is the sum of the cross-entropy of
/// the photographs' classes among captions of all classes (UniCL: Yang et al. 2022, arXiv 2204.03610), the loss of the drawings
/// (<see cref="ContrastiveModel"/>), and the distances to the teacher (<see cref="Distillation"/>).
/// </summary>
internal sealed class PhotographTraining : IDisposable
{
    private const double PooledWeight = 16,
        CellWeight = 8,
        Smoothing = 0.05,
        MuonRate = 3;
    private const long EasyDrawings = 150_000;
    private const int VocabularyImages = 5000,
        VocabularySize = 4096,
        VocabularySeed = 1,
        MapImages = 2048,
        MapPart = 128;

    private static readonly double MaximumLogitScale = Math.Log(100);

    private readonly PhotographSettings _settings;
    private readonly PhotographCache _cache;
    private readonly IReadOnlyList<Photograph> _photographs;
    private readonly PhotographCaptions _captions;
    private readonly AdamW _optimizer;
    private readonly Muon _muon;
    private readonly StudentShares _shares;
    private readonly Distillation _distillation;
    private readonly Dictionary<string, Parameter> _trained;
    private readonly StudentTower _tower;
    private readonly Tensor _mean,
        _deviation;
    private RunPosition _position = new(0, TimeSpan.Zero);

    public PhotographTraining(
        PhotographSettings settings,
        PhotographFolders folders,
        PhotographCache cache,
        WordNet words,
        string folder,
        ScalarType products
    )
    {
        (_settings, _cache, _photographs, Folder) = (settings, cache, folders.Photographs, folder);
        _captions = new PhotographCaptions(folders.Classes, words);
        Directory.CreateDirectory(folder);
        Vocabulary = PairVocabulary.Learn(Counts(words), VocabularySize);
        // Token ids of another vocabulary would silently get the wrong embeddings.
        if (File.Exists(Path.Combine(folder, "vocab.json")) && !Vocabulary.IsIn(folder))
            throw new InvalidDataException(
                $"The model in '{folder}' has another vocabulary than these photographs give: choose another folder for --output."
            );
        Vocabulary.Save(folder);
        Tokenizer = ClipTokenizer.FromHuggingFace(Path.Combine(folder, "vocab.json"), Path.Combine(folder, "merges.txt"));
        ClipConfig config = PhotographSettings.Shape(Vocabulary.Size, Vocabulary.EndId);
        using Generator generator = Seeds.Generator(settings.Seed, "initial values");
        Clip = new LearnedClip(config, new InitialValues(config, generator, likeTrained: true).Draw, CPU);
        Model = new ContrastiveModel(Clip);
        _tower = new StudentTower(Clip.Values, config, products);
        _distillation = new Distillation(cache, config.EmbeddingWidth, config.Image.Width, generator);
        _trained = new([.. Clip.Values, .. _distillation.Maps]);
        _shares = new StudentShares(Clip, _distillation, products, settings.Workers);
        ClipImageProcessorConfig processor = ClipImageProcessorConfig.Default(config.ImageSize);
        _mean = tensor(processor.Mean, [1, 3, 1, 1]).DetachFromDisposeScope();
        _deviation = tensor(processor.Deviation, [1, 3, 1, 1]).DetachFromDisposeScope();
        // Muon trains the matrices of the blocks, AdamW everything else; weight decay applies only to Muon's matrices.
        bool IsHidden(string name) => name.Contains("resblocks", StringComparison.Ordinal) && _trained[name].shape.Length > 1;
        _muon = new Muon(
            Clip.Values.Where(v => IsHidden(v.Key))
                .Select(v => (v.Value, v.Key.EndsWith("in_proj_weight", StringComparison.Ordinal) ? 3 : 1)),
            settings.WeightDecay,
            products
        );
        _optimizer = new AdamW(
            _trained.Where(v => !IsHidden(v.Key)).Select(v => v.Value),
            settings.LearningRate,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-8,
            weight_decay: 0
        );
    }

    public string Folder { get; }

    public LearnedClip Clip { get; }

    public ContrastiveModel Model { get; }

    public PairVocabulary Vocabulary { get; }

    public ClipTokenizer Tokenizer { get; }

    public PhotographCaptions Captions => _captions;

    public RunPosition Position => _position;

    /// <summary>Begins with the weights of a model that this program saved, and with maps to the teacher that are fitted to it.</summary>
    /// <exception cref="InvalidDataException">The folder does not contain a CLIP of this shape and vocabulary.</exception>
    public void BeginFrom(string folder)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ClipBackbone backbone = ClipBackbone.FromFolder(folder);
        if (backbone.Config != Clip.Config || !Vocabulary.IsIn(folder))
            throw new InvalidDataException(
                $"The CLIP in '{folder}' has a different shape or vocabulary than these photographs require: name another with --initial, "
                    + "or none."
            );
        using LearnedClip initial = SavedClip.Read(backbone, folder, CPU);
        foreach (var (name, value) in initial.Values)
            Clip.Values[name].copy_(value);
        using var batches = new PhotographBatches(
            _cache,
            _photographs,
            MapImages,
            PhotographSettings.ImageSize,
            _ => PhotographSettings.Patches,
            firstBatch: 0,
            _settings.Seed
        );
        PhotographBatch batch = batches.Next(CancellationToken.None);
        List<Tensor> embeddings = [],
            patches = [];
        // In parts, because a scope keeps all activations until it ends: 15 GB for all images at once.
        for (int first = 0; first < MapImages; first += MapPart)
        {
            using var each = NewDisposeScope();
            PhotographBatch part = batch.Part(first..(first + MapPart));
            var (embedding, all) = _tower.Forward(Normalised(part.Pixels, MapPart), null);
            Tensor places = tensor(part.Kept, [MapPart, PhotographSettings.Patches, 1]).expand(-1, -1, all.shape[2]);
            embeddings.Add(embedding.MoveToOuterDisposeScope());
            patches.Add(all.gather(1, places).MoveToOuterDisposeScope());
        }
        _distillation.Fit(cat(embeddings), cat(patches), batch);
    }

    public void Resume(string checkpoint) => _position = Checkpoint.Load(checkpoint, State, _optimizer);

    public void SaveCheckpoint(string checkpoint) => Checkpoint.Save(checkpoint, State, _optimizer, _position);

    public void SaveModel() => HuggingFaceFolder.Save(Folder, Clip, Vocabulary);

    private Dictionary<string, Tensor> State =>
        new([
            .. _trained.Select(t => KeyValuePair.Create(t.Key, (Tensor)t.Value)),
            .. _muon.State.Select((momentum, i) => KeyValuePair.Create($"momentum.{i}", momentum)),
        ]);

    /// <summary>Computes image features [images, embedding] of unit length from all patches.</summary>
    /// <param name="pixels">Pixels [images, size, size, 3].</param>
    /// <param name="count">Number of images.</param>
    public Tensor UnitImages(byte[] pixels, int count) => PromptedClip.UnitRows(_tower.Forward(Normalised(pixels, count), null).Embedding);

    public void Run(
        Action<RunPosition, PhotographLosses, double, double> report,
        int reportEvery,
        Action save,
        TimeSpan saveEvery,
        CancellationToken cancellationToken
    )
    {
        int size = PhotographSettings.ImageSize;
        using var photographs = new PhotographBatches(
            _cache,
            _photographs,
            _settings.Photographs,
            size,
            _settings.KeptAt,
            _position.Step,
            _settings.Seed
        );
        using var drawings = new CaptionedBatches(
            new DrawnImages(_settings.Seed, EasyDrawings),
            Tokenizer,
            Clip.Config,
            _settings.Drawings,
            _position.Step,
            _settings.Seed
        );
        if (_position.Step < _settings.Steps)
            new TrainingLoop
            {
                Step = () => Step(photographs.Next(CancellationToken.None), drawings.Next(CancellationToken.None)),
                IsLast = position => (_position = position).Step == _settings.Steps,
                Report = (means, speed) =>
                    report(
                        _position,
                        new PhotographLosses(means[0], means[1], means[2], means[3]),
                        Math.Exp(Clip.LogitScale.item<float>()),
                        speed * (_settings.Photographs + _settings.Drawings)
                    ),
                ReportEvery = reportEvery,
                Save = save,
                SaveEvery = saveEvery,
            }.Run(_position, cancellationToken);
    }

    public void Dispose()
    {
        _shares.Dispose();
        _optimizer.Dispose();
        _muon.Dispose();
        Clip.Dispose();
        _distillation.Dispose();
        _mean.Dispose();
        _deviation.Dispose();
    }

    private double[] Step(PhotographBatch photographs, CaptionedBatch drawings)
    {
        using var scope = NewDisposeScope();
        double learningRate = _settings.LearningRateAt(_position.Step);
        foreach (var group in _optimizer.ParamGroups)
            group.LearningRate = learningRate;
        string[] captions = _captions.Draw(Seeds.Random(_settings.Seed, "captions", _position.Step));
        int[][] texts = [.. captions.Select(c => Tokenizer.Encode(c, Clip.Config.ContextLength, out _)), .. drawings.AllTexts];
        double[] losses;
        try
        {
            _shares.Forward(photographs, drawings, texts, (PooledWeight, CellWeight), Normalised);
            losses = Losses(photographs, drawings, captions.Length, out Tensor embeddings, out Tensor units);
            _shares.Backward(embeddings, units);
        }
        finally
        {
            _shares.Free();
        }
        _shares.AddGradients(_trained);
        nn.utils.clip_grad_norm_(_trained.Values, 5.0);
        _optimizer.step();
        _muon.Step(learningRate * MuonRate, _shares.Team);
        using (no_grad())
            Clip.LogitScale.BoundInPlace(0, MaximumLogitScale);
        return losses;
    }

    /// <summary>Computes the losses that depend on the whole batch, and their gradients at the shares' results.</summary>
    private double[] Losses(
        PhotographBatch photographs,
        CaptionedBatch drawings,
        int captions,
        out Tensor embeddingGradients,
        out Tensor textGradients
    )
    {
        foreach (Parameter parameter in _trained.Values)
            parameter.grad?.zero_();
        Tensor embeddings = _shares.Embeddings().requires_grad_(true),
            all = _shares.Texts().requires_grad_(true);
        Tensor units = PromptedClip.UnitRows(embeddings);
        Tensor logits = units.narrow(0, 0, photographs.Classes.Length).matmul(all.narrow(0, 0, captions).t()) * Clip.LogitScale.exp();
        Tensor classes = F.cross_entropy(logits, tensor(photographs.Classes), ignore_index: -1, label_smoothing: Smoothing);
        var (drawn, floor) = Model.Loss(
            units.narrow(0, photographs.Classes.Length, drawings.Count),
            drawings,
            all.narrow(0, captions, all.shape[0] - captions)
        );
        var (pooled, cells) = _shares.Distances;
        Tensor loss = classes.Plus(drawn);
        if (!double.IsFinite(loss.item<float>() + pooled + cells))
            throw new InvalidOperationException($"The loss is not finite in step {_position.Step + 1}: lower --learning-rate.");
        loss.backward();
        (embeddingGradients, textGradients) = (embeddings.grad!, all.grad!);
        return [classes.item<float>(), drawn.item<float>() - floor.item<float>(), pooled, cells];
    }

    private Tensor Normalised(byte[] pixels, int count)
    {
        int size = PhotographSettings.ImageSize;
        return Normalised(tensor(pixels, [count, size, size, 3]).permute(0, 3, 1, 2));
    }

    private Tensor Normalised(Tensor levels) => (levels.to(ScalarType.Float32).Over(255) - _mean) / _deviation;

    private Dictionary<string, int> Counts(WordNet words)
    {
        const int rare = 4,
            weight = 20;
        var counts = words.WordCounts.Where(w => w.Value >= rare).ToDictionary();
        // Runs of all seeds have the same vocabulary, so that one can begin with the weights of another.
        var drawings = new DrawnImages(VocabularySeed);
        IEnumerable<string> texts = _captions.Texts.Concat(Enumerable.Range(0, VocabularyImages).Select(i => drawings[i].Caption.Text));
        foreach (var (word, count) in PairVocabulary.Count(texts))
            counts[word] = counts.GetValueOrDefault(word) + weight * count;
        return counts;
    }
}
