using System.Globalization;
using System.Text;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>
/// Writes predictions as files (parts) of equally many images, each written atomically and numbered over the whole input. Each shard makes
/// a contiguous range of the parts, so that neither the number of shards nor an interruption changes a byte of any part.
/// </summary>
internal sealed class PredictionParts
{
    private readonly PartsRequest _request;
    private readonly PartSettings _settings;
    private readonly string _extension;
    private readonly int _first,
        _end;
    private readonly PartsLog _log;
    private readonly Dictionary<int, DonePart> _before = [];
    private readonly List<DonePart> _done = [];

    /// <param name="request">The output folder and the shard.</param>
    /// <param name="settings">The settings that determine the parts' contents.</param>
    /// <exception cref="IOException">The folder cannot be written to.</exception>
    /// <exception cref="ArgumentException">The folder already holds parts, and resuming was not requested.</exception>
    /// <exception cref="InvalidDataException">The folder holds parts that were made with other settings.</exception>
    public PredictionParts(PartsRequest request, PartSettings settings)
    {
        (_request, _settings) = (request, settings);
        _extension = settings.Format == PredictionFormat.Csv ? "csv" : "jsonl";
        (_first, _end) = settings.Images is int images
            ? request.Shard.StretchOf((int)(((long)images + settings.PartSize - 1) / settings.PartSize))
            : (0, int.MaxValue);
        string count = request.Shard.Count.ToString(CultureInfo.InvariantCulture),
            index = (request.Shard.Index + 1).ToString(CultureInfo.InvariantCulture).PadLeft(count.Length, '0');
        _log = new PartsLog(OutputFile.Check(Path.Combine(request.Folder, $"shard-{index}-of-{count}.json"), "--output"), settings);
        RequireOneKind();
        if (request.Resumes)
            Keep();
        else if (_log.Exists || Mine("part-*." + _extension).Any())
            throw new ArgumentException(
                $"'{request.Folder}' holds parts of this shard: give --resume to continue with them, or name another folder with --output."
            );
    }

    /// <summary>Selects the images of this shard.</summary>
    public IEnumerable<string> Select(IEnumerable<string> images) =>
        _settings.Images is null
            ? images
            : images
                .Skip((int)Math.Min(int.MaxValue, (long)_first * _settings.PartSize))
                .Take((int)Math.Min(int.MaxValue, (long)(_end - _first) * _settings.PartSize));

    /// <summary>The path pattern that matches all parts, for messages.</summary>
    public string Pattern => Path.Combine(_request.Folder, $"part-*.{_extension}");

    /// <summary>Makes the missing parts.</summary>
    /// <param name="images">The images of this shard, as the user named them.</param>
    /// <param name="score">Scores the images of a part.</param>
    /// <param name="classes">Class names in the order of the scores.</param>
    /// <param name="threshold">The minimum probability for a class to be predicted; null for no minimum.</param>
    /// <param name="report">Called once for each part that was done before, with its number of images and null, and for each image that is
    /// done now.</param>
    /// <returns>The number of images of this shard, and how many of them could not be read, including those of earlier processes.</returns>
    /// <exception cref="InvalidDataException">An earlier process had another list of images.</exception>
    /// <exception cref="IOException">A part cannot be written.</exception>
    public (int Images, int Unreadable) Write(
        IEnumerable<string> images,
        Func<IReadOnlyList<string>, IEnumerable<ScoredImage>> score,
        IReadOnlyList<string> classes,
        double? threshold,
        Action<int, ScoredImage?> report
    )
    {
        using PartsLog log = _log;
        int part = _first;
        foreach (string[] names in images.Chunk(_settings.PartSize))
        {
            string digest = Digest(names);
            if (_before.Remove(part, out DonePart? before))
            {
                RequireSame(before.Paths == digest, part);
                _done.Add(before);
                report(names.Length, null);
            }
            else
            {
                DonePart made = Write(part, names, digest, score(names), classes, threshold, report);
                log.Add(made, others: () => _done.Concat(_before.Values));
                _done.Add(made);
            }
            part++;
        }
        RequireSame(_before.Count == 0, part);
        log.Complete(_done);
        return (_done.Sum(done => done.Images), _done.Sum(done => done.Unreadable));
    }

    private DonePart Write(
        int part,
        string[] names,
        string digest,
        IEnumerable<ScoredImage> scored,
        IReadOnlyList<string> classes,
        double? threshold,
        Action<int, ScoredImage?> report
    )
    {
        string file = FileOf(part);
        int unreadable = 0;
        OutputFile
            .Check(file, "--output")
            .Write(unfinished =>
            {
                using var output = new StreamWriter(unfinished, append: false, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false))
                {
                    NewLine = "\n",
                };
                var writer = PredictionWriter.CreateForPart(
                    _settings.Format,
                    classes,
                    _settings.Top,
                    output,
                    _settings.KeepFormulas,
                    isFirst: part == 0,
                    threshold
                );
                foreach (ScoredImage image in scored)
                {
                    writer.Write(image.Row.Label, image.Numbers, image.Error);
                    unreadable += image.Error is null ? 0 : 1;
                    report(1, image);
                }
                writer.End();
            });
        return new DonePart(part, names.Length, unreadable, new FileInfo(file).Length, digest);
    }

    /// <summary>All parts of a folder are concatenated in the end, so every shard must have been made with the same settings.</summary>
    private void RequireOneKind()
    {
        foreach (string file in Directory.EnumerateFiles(_request.Folder, "shard-*-of-*.json").Order(StringComparer.Ordinal))
            if (PartsJournal.TryRead(file) is { } journal && _settings.Difference(journal.Settings) is { } difference)
                throw new InvalidDataException(
                    $"The parts of '{file}' were made with {difference}. Run with the same settings, or name another folder with --output."
                );
    }

    private void Keep()
    {
        // Files that a killed process left unfinished have names of their own, so nothing would overwrite them.
        foreach (string unfinished in Mine(".part-*.partial"))
            File.Delete(unfinished);
        foreach (DonePart part in _log.Read(Terminal.Warn))
            if (new FileInfo(FileOf(part.Part)) is { Exists: true } file && file.Length == part.Bytes)
                _before[part.Part] = part;
            else
                Terminal.Warn($"'{FileOf(part.Part)}' is missing or has a different length, so it is written again.");
    }

    private void RequireSame(bool isSame, int part)
    {
        if (!isSame)
            throw new InvalidDataException(
                $"The images of '{FileOf(part)}' are not the same as before, or not in the same order. Give the list that "
                    + $"'{_request.Folder}' was started with, or name another folder with --output."
            );
    }

    private IEnumerable<string> Mine(string pattern) =>
        Directory
            .EnumerateFiles(_request.Folder, pattern)
            .Where(file =>
                Path.GetFileName(file).TrimStart('.').Split('-', '.') is [_, var number, ..]
                && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int part)
                && part >= _first
                && part < _end
            );

    // Wide enough that names sort as numbers do.
    private string FileOf(int part) =>
        Path.Combine(_request.Folder, string.Create(CultureInfo.InvariantCulture, $"part-{part:d8}.{_extension}"));

    private static string Digest(string[] names) => Sha256.Compute(Encoding.UTF8.GetBytes(string.Join('\n', names)));
}
