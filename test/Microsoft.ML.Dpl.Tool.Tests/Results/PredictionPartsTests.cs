using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Results;

/// <summary>The parts kept from an earlier process, for every state in which it can have left the folder.</summary>
public sealed class PredictionPartsTests : IDisposable
{
    private const int Parts = 6,
        PartSize = 2;

    private static readonly string[] Images = [.. Enumerable.Range(0, Parts * PartSize).Select(i => $"{i}.png")];
    private static readonly PartSettings Settings = new("0", PredictionFormat.Csv, 1, false, PartSize, PartSize, null);

    private readonly TemporaryFolder _folder = new();
    private int _copies;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_process_that_is_killed_at_any_image_loses_the_part_in_hand()
    {
        var killed = new List<(string Folder, int Finished)>();
        Dictionary<string, string> whole = Write("whole", _ => killed.Add((Copy("whole"), killed.Count / PartSize)));
        Assert.Equal(Images.Length, killed.Count);
        // The final folder is the same as in versions without a file of lines.
        Assert.Equal([.. Enumerable.Range(0, Parts).Select(part => $"part-{part:d8}.csv"), "shard-1-of-1.json"], whole.Keys);
        Assert.Contains("\"isComplete\": true", whole["shard-1-of-1.json"]);
        foreach (var (folder, finished) in killed)
        {
            int scored = 0;
            Assert.Equal(whole, Write(folder, _ => scored++));
            Assert.Equal(Images.Length - finished * PartSize, scored);
        }
    }

    [Fact]
    public void A_process_that_is_killed_at_any_byte_of_the_lines_loses_the_line_in_hand()
    {
        int images = 0;
        string killed = "";
        Dictionary<string, string> whole = Write("whole", _ => killed = ++images == Images.Length ? Copy("whole") : killed);
        string lines = File.ReadAllText(Lines(killed));
        Assert.Equal(Parts - 1, lines.Count(c => c == '\n'));
        for (int length = 0; length <= lines.Length; length++)
        {
            string folder = Copy(killed);
            File.WriteAllText(Lines(folder), lines[..length]);
            int scored = 0;
            Assert.Equal(whole, Write(folder, _ => scored++));
            Assert.Equal(Images.Length - PartSize * lines[..length].Count(c => c == '\n'), scored);
        }
        // The process ended before it had created the file of lines.
        string without = Copy(killed);
        File.Delete(Lines(without));
        Assert.Equal(whole, Write(without, _ => { }));
    }

    [Fact]
    public void A_part_is_a_line_and_the_journal_is_written_at_both_ends_only()
    {
        var journals = new List<string>();
        var lengths = new List<long>();
        Write("whole", _ =>
        {
            if (!File.Exists(Lines("whole")))
                return;
            journals.Add(File.ReadAllText(Journal("whole")));
            lengths.Add(new FileInfo(Lines("whole")).Length);
        });
        Assert.Equal((Parts - 1) * PartSize, journals.Count);
        Assert.Single(journals.Distinct());
        Assert.Contains("\"isComplete\": false", journals[0]);
        Assert.Single(lengths.Distinct().Zip(lengths.Distinct().Skip(1)).Select(pair => pair.Second - pair.First).Distinct());
    }

    [Fact]
    public void A_process_that_is_killed_while_it_mends_what_is_lost_forgets_nothing()
    {
        Dictionary<string, string> whole = Write("whole", _ => { });
        foreach (int part in new[] { 0, 3 })
            File.Delete(Path.Combine(_folder.File("whole"), $"part-{part:d8}.csv"));
        int scored = 0;
        Assert.Throws<OperationCanceledException>(() => Write("whole", _ =>
            {
                if (++scored > PartSize)
                    throw new OperationCanceledException();
            }));
        scored = 0;
        Assert.Equal(whole, Write("whole", _ => scored++));
        Assert.Equal(PartSize, scored);
    }

    /// <summary>A journal that was rewritten completely for each part, as an earlier version did.</summary>
    [Fact]
    public void A_journal_without_lines_is_read()
    {
        Dictionary<string, string> whole = Write("whole", _ => { });
        PartsJournal journal = PartsJournal.TryRead(Journal("whole"))!;
        File.WriteAllBytes(Journal("whole"), (journal with { Parts = [.. journal.Parts.Take(4)], IsComplete = false }).ToJson());
        int scored = 0;
        Assert.Equal(whole, Write("whole", _ => scored++));
        Assert.Equal((Parts - 4) * PartSize, scored);
    }

    [Fact]
    public void A_line_that_cannot_be_read_is_told()
    {
        using var log = new PartsLog(OutputFile.Check(_folder.File("shard-1-of-1.json"), "--output"), Settings);
        log.Add(new DonePart(0, 2, 0, 10, "a"), () => []);
        log.Add(new DonePart(1, 2, 0, 10, "b"), () => throw new InvalidOperationException("asked for twice"));
        log.Dispose();
        string[] lines = File.ReadAllLines(log.LinesPath);
        File.WriteAllText(log.LinesPath, $"{lines[0]}\n\0\0\0\n{lines[1]}\n{lines[1][..9]}");
        List<string> warnings = [];
        Assert.Equal(["a", "b"], log.Read(warnings.Add).Select(part => part.Paths));
        Assert.Contains($"Line 2 of '{log.LinesPath}' cannot be read", Assert.Single(warnings));
    }

    /// <returns>The contents of the folder at the end, by file name.</returns>
    private Dictionary<string, string> Write(string folder, Action<ScoredImage> scored)
    {
        var parts = new PredictionParts(new PartsRequest(_folder.File(folder), Shard.Whole, PartSize, Resumes: true), Settings);
        (int images, int unreadable) = parts.Write(
            Images,
            names => names.Select(Score),
            ["a", "b"],
            threshold: null,
            (_, image) =>
            {
                if (image is not null)
                    scored(image);
            }
        );
        Assert.Equal((Images.Length, 2), (images, unreadable));
        return Directory
            .GetFiles(_folder.File(folder))
            .Order(StringComparer.Ordinal)
            .ToDictionary(file => Path.GetFileName(file), File.ReadAllText);

        static ScoredImage Score(string name) =>
            name.StartsWith('1') && name.Length > 5 && name[1] < '2'
                ? new ScoredImage(new ImageRow { ImagePath = name, Label = name }, null, "no image")
                : new ScoredImage(new ImageRow { ImagePath = name, Label = name }, [0.25f, 0.75f], null);
    }

    /// <summary>Copies the folder as a process that is killed now would leave it.</summary>
    private string Copy(string folder)
    {
        string copy = $"copy-{_copies++}";
        Directory.CreateDirectory(_folder.File(copy));
        foreach (string file in Directory.GetFiles(_folder.File(folder)))
            File.Copy(file, Path.Combine(_folder.File(copy), Path.GetFileName(file)));
        return copy;
    }

    private string Journal(string folder) => Path.Combine(_folder.File(folder), "shard-1-of-1.json");

    private string Lines(string folder) => Path.ChangeExtension(Journal(folder), ".unfinished");
}
