using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Fit;

/// <summary>Reads labels and weights, decides the split, then decodes every image once, one at a time.</summary>
internal sealed class FitImageReader(FitData data, FitSettings settings, ClipImageProcessor processor, HostLog log, Action checkAlive)
{
    /// <summary>The class and the weight of a row, which are known before its image is read.</summary>
    private readonly record struct RowLabel(int Class, float Weight);

    private readonly List<ImageOrigin> _origins = [],
        _trainOrigins = [],
        _validationOrigins = [];

    /// <summary>The row of each cached image, in the order of the images; filled while they are read.</summary>
    public IReadOnlyList<ImageOrigin> Origins => _origins;

    /// <summary>The rows of the training images only.</summary>
    public IReadOnlyList<ImageOrigin> TrainOrigins => _trainOrigins;

    /// <summary>The rows of the validation images, whether they were set aside or given.</summary>
    public IReadOnlyList<ImageOrigin> ValidationOrigins => _validationOrigins;

    /// <summary>Whether training rows are set aside for validation.</summary>
    public bool Splits => settings.Split is not null && data.Validation is null;

    /// <summary>Reads the classes and checks that there are at least two.</summary>
    /// <exception cref="InvalidOperationException">There are fewer than two classes, or a weight is given for an unknown class.</exception>
    public LabelClasses ReadClasses()
    {
        LabelClasses classes = data.Train.Label.ReadClasses(data.Train.View, checkAlive);
        if (!data.Train.Label.IsNamed)
            log.Warning(
                $"Label column '{data.Train.Label.Column.Name}' is a key without names, so CLIP reads '{classes.Names[0]}', "
                    + $"'{classes.Names[^1]}' and so on. Make it with MapValueToKey from the classes' names."
            );
        if (settings.ClassWeights?.Named is { } named)
        {
            string[] unknown = [.. named.Keys.Except(classes.Names, StringComparer.Ordinal).Order(StringComparer.Ordinal)];
            if (unknown.Length > 0)
                throw new InvalidOperationException(
                    $"Training.ClassWeights names '{string.Join("', '", unknown)}', but the classes are "
                        + $"{string.Join(", ", classes.Names.Take(20).Select(name => $"'{name}'"))}{(classes.Count > 20 ? ", …" : "")}."
                );
        }
        // A key column has its names even without rows.
        if (classes.Count < 2 && !HasRows(data.Train.View))
            throw LabelColumn.NoRows();
        return classes.Count > 1
            ? classes
            : throw new InvalidOperationException($"There is a single class, '{classes.Names[0]}'. A classifier needs at least two.");
    }

    private static bool HasRows(IDataView view)
    {
        using DataViewRowCursor cursor = view.GetRowCursor([]);
        return cursor.MoveNext();
    }

    /// <exception cref="InvalidOperationException">There are no rows, a class has too few, a weight is unusable, or an image cannot be
    /// read.</exception>
    public FitImages Read(LabelClasses classes)
    {
        Dictionary<long, RowLabel> labels = ReadLabels(classes);
        WarnOfEmptyClasses(labels.Values.Select(label => label.Class), classes);
        TrainingRows rows = Rows(data.Train, classes);
        if (data.SkipUnreadable)
            labels = Readable(rows, labels, classes);
        HashSet<long> aside = Splits ? SetAside(labels, classes) : [];

        List<RowLabel> cached = [];
        List<int> trainRows = [];
        var validation = new Prepared();
        void Cache(TrainingRow row, bool isInValidationSet)
        {
            cached.Add(new RowLabel(row.Class, row.Weight));
            _origins.Add(new ImageOrigin(row.Row, row.Path, isInValidationSet));
        }
        IEnumerable<RgbImage> CachedImages()
        {
            foreach (TrainingRow row in rows.Read())
            {
                // Labels and weights were read in an earlier pass, on which the split is based.
                if (!labels.TryGetValue(row.Row, out RowLabel before) || before != new RowLabel(row.Class, row.Weight))
                    throw new InvalidOperationException(
                        $"At row {row.Row} the training data gave a different label or weight than before. It is read several times: use "
                            + "data whose order does not change, or cache it first with Data.Cache."
                    );
                if (aside.Contains(row.Row))
                {
                    Validate(row, isInValidationSet: false, validation);
                    if (!settings.Refits)
                        continue;
                }
                else
                {
                    trainRows.Add(cached.Count);
                    _trainOrigins.Add(new ImageOrigin(row.Row, row.Path, IsInValidationSet: false));
                }
                Cache(row, isInValidationSet: false);
                yield return row.Image;
            }
            if (!settings.Refits)
                yield break;
            // Only proportions matter: without the column a validation row counts as the average training row does.
            float? weight = data.Validation is { Weight: null } ? labels.Values.Average(label => label.Weight) : null;
            foreach (TrainingRow row in GivenValidation(classes, validation))
            {
                Cache(row with { Weight = weight ?? row.Weight }, isInValidationSet: true);
                yield return row.Image;
            }
        }

        ImageCache cache = ImageCache.Build(CachedImages(), processor.ImageSize, settings.ImageCacheBytes);
        try
        {
            log.Info(
                $"Images: {trainRows.Count} for training at up to {cache.ShortSideBound} pixels ({cache.Bytes >> 20} "
                    + $"MiB){(Splits ? $", {validation.Count} of the training rows set aside for validation" : "")}."
            );
            int read = trainRows.Count + (Splits ? validation.Count : 0);
            if (read < labels.Count)
                throw new InvalidOperationException(
                    $"The training data gave {labels.Count} rows, and {read} when it was read again. It is read several times: use data "
                        + "that does not change, or cache it first with Data.Cache."
                );
            return new FitImages(
                cache,
                [.. cached.Select(label => label.Class)],
                trainRows,
                SpreadWeights([.. trainRows.Select(row => cached[row])], trainRows, cached.Count, classes),
                Weights(cached, classes),
                validation.Count > 0 ? ToImages(validation, classes) : ReadValidation(classes)
            );
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>The images of the given validation set; null if none was given.</summary>
    /// <exception cref="InvalidOperationException">The validation set has no rows, an unusable weight, or an image that cannot be
    /// read.</exception>
    public PreparedImages? ReadValidation(LabelClasses classes)
    {
        if (data.Validation is null)
            return null;
        var images = new Prepared();
        foreach (TrainingRow _ in GivenValidation(classes, images))
            continue;
        return ToImages(images, classes);
    }

    /// <summary>The rows of the given validation set, prepared while they are read; empty if none was given.</summary>
    /// <exception cref="InvalidOperationException">The validation set has no rows, an unusable weight, or an image that cannot be
    /// read.</exception>
    private IEnumerable<TrainingRow> GivenValidation(LabelClasses classes, Prepared images)
    {
        if (data.Validation is not { } given)
            yield break;
        TrainingRows rows = Rows(given, classes);
        foreach (TrainingRow row in rows.Read())
        {
            Validate(row, isInValidationSet: true, images);
            yield return row;
        }
        WarnOfSkipped(rows.Skipped, "validation");
        if (images.Count == 0)
            throw new InvalidOperationException($"The validation set has no rows{(given.Weight is null ? "" : " of a weight above 0")}.");
        log.Info($"Images: {images.Count} for validation.");
    }

    private void Validate(TrainingRow row, bool isInValidationSet, Prepared images)
    {
        images.Add(row, processor);
        _validationOrigins.Add(new ImageOrigin(row.Row, row.Path, isInValidationSet));
    }

    /// <summary>Puts the weights of some cached images at their positions among all cached images.</summary>
    private float[]? SpreadWeights(RowLabel[] rows, IReadOnlyList<int> places, int all, LabelClasses classes)
    {
        if (Weights(rows, classes) is not { } weights)
            return null;
        float[] spread = new float[all];
        for (int i = 0; i < places.Count; i++)
            spread[places[i]] = weights[i];
        return spread;
    }

    /// <summary>The rows set aside for validation.</summary>
    private HashSet<long> SetAside(Dictionary<long, RowLabel> labels, LabelClasses classes)
    {
        long[] order = [.. labels.Keys.Order()];
        int[] indices = [.. order.Select(row => labels[row].Class)];
        StratifiedSplit split = settings.Split!.Fraction is double fraction
            ? StratifiedSplit.ByFraction(indices, classes.Names, fraction, settings.Seed)
            : StratifiedSplit.ByCount(indices, classes.Names, settings.Split.RowsPerClass!.Value, settings.Seed);
        return [.. split.Validation.Select(index => order[index])];
    }

    /// <summary>Row weight times class weight, scaled to a mean of 1; null if all are equal.</summary>
    private float[]? Weights(IReadOnlyList<RowLabel> rows, LabelClasses classes)
    {
        double[]? ofClasses = settings.ClassWeights switch
        {
            null => null,
            { Named: { } named } => [.. classes.Names.Select(name => named.TryGetValue(name, out double weight) ? weight : 1)],
            _ => LossWeights.Balanced([.. rows.Select(row => row.Class)], classes.Count),
        };
        return LossWeights.Scale([.. rows.Select(row => row.Weight * (ofClasses?[row.Class] ?? 1))]);
    }

    private PreparedImages ToImages(Prepared prepared, LabelClasses classes) =>
        new(prepared.Images, [.. prepared.Labels.Select(label => label.Class)], processor, Weights(prepared.Labels, classes));

    private TrainingRows Rows(LabelledData labelled, LabelClasses classes) =>
        new(labelled.View, labelled.Image, labelled.Label, classes, data.SkipUnreadable, checkAlive, labelled.Weight);

    /// <summary>
    /// Maps row positions to class and weight, in one pass over these columns only. Rows of weight 0 are left out, as if they did not
    /// exist.
    /// </summary>
    /// <exception cref="InvalidOperationException">There are no rows with a weight above 0, or a weight is unusable.</exception>
    private Dictionary<long, RowLabel> ReadLabels(LabelClasses classes)
    {
        LabelledData train = data.Train;
        DataViewSchema schema = train.View.Schema;
        var labels = new Dictionary<long, RowLabel>();
        long rows = 0;
        using DataViewRowCursor cursor = train.View.GetRowCursor([
            schema[train.Label.Column.Index],
            .. train.Weight is null ? [] : new[] { schema[train.Weight.Column.Index] },
        ]);
        Func<int> readClass = train.Label.CreateReader(cursor, classes);
        Func<float>? readWeight = train.Weight?.CreateReader(cursor);
        for (; cursor.MoveNext(); rows++)
        {
            checkAlive();
            var label = new RowLabel(readClass(), readWeight?.Invoke() ?? 1);
            if (label.Weight > 0)
                labels.Add(cursor.Position, label);
        }
        if (rows == 0)
            throw LabelColumn.NoRows();
        if (labels.Count == 0)
            throw new InvalidOperationException(
                $"The weights in column '{train.Weight!.Column.Name}' are 0 in all rows (0 to {rows - 1}), so there is nothing to "
                    + "learn from."
            );
        if (labels.Count < rows)
            log.Info($"{rows - labels.Count} training rows have a weight of 0 and are left out.");
        return labels;
    }

    /// <summary>The rows whose images can be read, determined before the split, so that both sides have images of every class.</summary>
    /// <exception cref="InvalidOperationException">A class has rows, but no readable image.</exception>
    private Dictionary<long, RowLabel> Readable(TrainingRows rows, Dictionary<long, RowLabel> all, LabelClasses classes)
    {
        var readable = new Dictionary<long, RowLabel>();
        foreach (TrainingRow row in rows.Read())
            readable.Add(row.Row, new RowLabel(row.Class, row.Weight));
        WarnOfSkipped(rows.Skipped, "training");
        var present = readable.Values.Select(label => label.Class).ToHashSet();
        foreach (int label in all.Values.Select(label => label.Class).Distinct())
            if (!present.Contains(label))
                throw new InvalidOperationException(
                    $"Class '{classes.Names[label]}' has no readable image. Repair or replace its images, or leave the class out."
                );
        return readable;
    }

    private void WarnOfEmptyClasses(IEnumerable<int> labels, LabelClasses classes)
    {
        var present = labels.ToHashSet();
        string[] empty = [.. classes.Names.Where((_, index) => !present.Contains(index))];
        if (empty.Length > 0)
            log.Warning(
                $"{empty.Length} of {classes.Count} classes have no training row and are known by their names alone: "
                    + $"{string.Join(", ", empty.Take(10))}{(empty.Length > 10 ? ", …" : "")}."
            );
    }

    private void WarnOfSkipped(IReadOnlyList<UnreadableImageException> skipped, string what)
    {
        if (skipped.Count > 0)
            log.Warning($"{skipped.Count} {what} images could not be read and were left out. The first: {skipped[0].Message}");
    }

    /// <summary>Collects validation images while they are read.</summary>
    private sealed class Prepared
    {
        public List<byte[]> Images { get; } = [];

        public List<RowLabel> Labels { get; } = [];

        public int Count => Images.Count;

        public void Add(TrainingRow row, ClipImageProcessor processor)
        {
            Images.Add(processor.Prepare(row.Image));
            Labels.Add(new RowLabel(row.Class, row.Weight));
        }
    }
}
