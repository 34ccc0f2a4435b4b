using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>A data view whose picture and label columns were found.</summary>
internal sealed record LabelledData(IDataView View, ImageColumn Image, LabelColumn Label);

/// <summary>What a fit learns from.</summary>
/// <param name="Train">Training rows.</param>
/// <param name="Validation">Validation rows, or null.</param>
/// <param name="SkipUnreadable">Leave out pictures that cannot be read, instead of failing at the first.</param>
internal sealed record FitData(LabelledData Train, LabelledData? Validation, bool SkipUnreadable);

/// <summary>The pictures of a fit in memory.</summary>
/// <param name="Train">Pictures to crop from.</param>
/// <param name="TrainLabels">Class index of each.</param>
/// <param name="Validation">Null where nothing is validated.</param>
internal sealed record FitPictures(ImageCache Train, IReadOnlyList<int> TrainLabels, PreparedImages? Validation) : IDisposable
{
    public void Dispose() => Train.Dispose();
}

/// <summary>Reads labels, decides the split, then decodes every picture once, one at a time.</summary>
internal sealed class FitPictureReader(FitData data, FitSettings settings, ClipImageProcessor processor, HostLog log, Action checkAlive)
{
    /// <summary>The classes, checked to be at least two.</summary>
    /// <exception cref="InvalidOperationException">There is one class only.</exception>
    public LabelClasses ReadClasses()
    {
        LabelClasses classes = data.Train.Label.ReadClasses(data.Train.View, checkAlive);
        if (!data.Train.Label.IsNamed) log.Warning($"Label column '{data.Train.Label.Column.Name}' is a key without names, so CLIP reads '{classes.Names[0]}', '{classes.Names[^1]}' and so on. Make it with MapValueToKey from the classes' names.");
        return classes.Count > 1 ? classes : throw new InvalidOperationException($"There is a single class, '{classes.Names[0]}'. A classifier needs at least two.");
    }

    /// <exception cref="InvalidOperationException">No row, a class with too few rows, or a picture that cannot be read.</exception>
    public FitPictures Read(LabelClasses classes)
    {
        Dictionary<long, int> labels = ReadLabels(classes);
        if (labels.Count == 0) throw new InvalidOperationException("The training data has no rows.");
        WarnOfEmptyClasses(labels.Values, classes);
        var rows = new TrainingRows(data.Train.View, data.Train.Image, data.Train.Label, classes, data.SkipUnreadable, checkAlive);
        if (data.SkipUnreadable) labels = Readable(rows, labels, classes);
        bool split = settings.Search is not null && data.Validation is null;
        long[] order = [.. labels.Keys.Order()];
        HashSet<long> aside = split
            ? [.. StratifiedSplit.ByCount([.. order.Select(row => labels[row])], classes.Names, settings.ValidationRowsPerClass, settings.Seed).Validation.Select(index => order[index])]
            : [];

        var trainLabels = new List<int>();
        var validation = new List<byte[]>();
        var validationLabels = new List<int>();
        IEnumerable<RgbImage> TrainPictures()
        {
            foreach (TrainingRow row in rows.Read())
            {
                // The split was decided on an earlier pass.
                if (!labels.TryGetValue(row.Row, out int label) || label != row.Class)
                    throw new InvalidOperationException($"At row {row.Row} the training data gave another label than before. It is read several times: give it data that keeps its order, or put Cache before it.");
                if (aside.Contains(row.Row))
                {
                    validation.Add(processor.Prepare(row.Image));
                    validationLabels.Add(row.Class);
                    continue;
                }
                trainLabels.Add(row.Class);
                yield return row.Image;
            }
        }

        ImageCache cache = ImageCache.Build(TrainPictures(), processor.ImageSize, settings.ImageCacheBytes);
        try
        {
            log.Info($"Pictures: {cache.Count} for training at up to {cache.ShortSideBound} pixels ({cache.Bytes >> 20} MiB){(split ? $", {validation.Count} of the training rows set aside for validation" : "")}.");
            PreparedImages? prepared = split ? new PreparedImages(validation, validationLabels, processor) : ReadValidation(classes);
            return new FitPictures(cache, trainLabels, prepared);
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>The pictures of the validation set that was given, or null.</summary>
    public PreparedImages? ReadValidation(LabelClasses classes)
    {
        if (data.Validation is not { } given) return null;
        var rows = new TrainingRows(given.View, given.Image, given.Label, classes, data.SkipUnreadable, checkAlive);
        var labels = new List<int>();
        var pictures = new List<byte[]>();
        foreach (TrainingRow row in rows.Read())
        {
            pictures.Add(processor.Prepare(row.Image));
            labels.Add(row.Class);
        }
        WarnOfSkipped(rows.Skipped, "validation");
        if (pictures.Count == 0) throw new InvalidOperationException("The validation set has no rows.");
        log.Info($"Pictures: {pictures.Count} for validation.");
        return new PreparedImages(pictures, labels, processor);
    }

    /// <summary>Row position to class index, in one pass over the labels alone.</summary>
    private Dictionary<long, int> ReadLabels(LabelClasses classes)
    {
        LabelledData train = data.Train;
        var labels = new Dictionary<long, int>();
        using DataViewRowCursor cursor = train.View.GetRowCursor([train.View.Schema[train.Label.Column.Index]]);
        Func<int> read = train.Label.CreateReader(cursor, classes);
        while (cursor.MoveNext())
        {
            checkAlive();
            labels.Add(cursor.Position, read());
        }
        return labels;
    }

    /// <summary>The rows whose pictures can be read: known before the split, so that both sides of it have pictures of every class.</summary>
    /// <exception cref="InvalidOperationException">A class has rows, but no readable picture.</exception>
    private Dictionary<long, int> Readable(TrainingRows rows, Dictionary<long, int> all, LabelClasses classes)
    {
        var readable = new Dictionary<long, int>();
        foreach (TrainingRow row in rows.Read()) readable.Add(row.Row, row.Class);
        WarnOfSkipped(rows.Skipped, "training");
        var present = readable.Values.ToHashSet();
        foreach (int label in all.Values.Distinct())
            if (!present.Contains(label)) throw new InvalidOperationException($"Class '{classes.Names[label]}' has no readable picture. Mend or replace its pictures, or leave the class out.");
        return readable;
    }

    private void WarnOfEmptyClasses(IEnumerable<int> labels, LabelClasses classes)
    {
        var present = labels.ToHashSet();
        string[] empty = [.. classes.Names.Where((_, index) => !present.Contains(index))];
        if (empty.Length > 0) log.Warning($"{empty.Length} of {classes.Count} classes have no training row and are known by their names alone: {string.Join(", ", empty.Take(10))}{(empty.Length > 10 ? ", …" : "")}.");
    }

    private void WarnOfSkipped(IReadOnlyList<UnreadableImageException> skipped, string what)
    {
        if (skipped.Count > 0) log.Warning($"{skipped.Count} {what} pictures could not be read and were left out. The first: {skipped[0].Message}");
    }
}
