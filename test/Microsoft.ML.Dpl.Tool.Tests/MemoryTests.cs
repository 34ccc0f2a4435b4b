using System.Buffers.Binary;
using System.Globalization;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>The command with less memory than it needs.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class MemoryTests(DrawnData data)
{
    // 128 MiB, which .NET does not exceed.
    private static readonly (string, string) SmallHeap = ("DOTNET_GCHeapHardLimit", "0x8000000");

    [Fact]
    public async Task An_image_too_large_for_the_memory_is_told_and_the_others_are_done()
    {
        (await data.Fit()).Expect(0);
        const int side = 12000;
        string large = data.File("large.bmp");
        WriteBitmap(large, side);
        string[] paths = [data.Rows("test")[0].Path, large, data.Rows("test")[1].Path];

        ToolProcess.Outcome outcome = (
            await ToolProcess.Run(input: null, ["predict", data.Model, .. paths, "--format", "csv"], SmallHeap)
        ).Expect(3);
        Assert.Equal(3, outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        string line = Assert.Single(outcome.ErrorLines, text => text.StartsWith(large, StringComparison.Ordinal));
        Assert.EndsWith(
            $"has {side} × {side} pixels, and there is not enough memory for the 962 MiB that decoding them takes. Make it smaller.",
            line
        );
        Assert.Contains("1 of 3 images could not be read.", outcome.Error);
    }

    /// <summary>A step with 4000 images needs far more memory than the process may use.</summary>
    [SkippableFact]
    public async Task A_fit_that_takes_too_much_memory_names_what_to_lower()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "other systems do not bound a process's memory so");
        const int images = 4000;
        string table = data.File("many.tsv"),
            model = data.File("many.zip");
        var rows = data.Rows("train");
        File.WriteAllLines(
            table,
            ["Path\tClass", .. Enumerable.Range(0, images).Select(i => $"{rows[i % rows.Count].Path}\t{rows[i % rows.Count].Label}")]
        );
        string command =
            $"ulimit -v 5000000; exec dotnet '{ToolProcess.Program}' train '{table}' --clip tiny-drawn --configuration uniform:1 "
            + $"--threads 2 --training-steps 1 --batch-size {images.ToString(CultureInfo.InvariantCulture)} --report none --json none "
            + $"--output '{model}'";
        ToolProcess.Outcome outcome = (await ToolProcess.RunProgram("bash", ["-c", command], SmallHeap)).Expect(1);
        Assert.Matches(
            @"There is not enough memory for a fit in steps of 4000 images( \(.* could not be allocated\))?\. "
                + @"Lower --batch-size \(4000\); ",
            outcome.ErrorLines[^1]
        );
        Assert.DoesNotContain("Exception", outcome.Error);
        Assert.False(File.Exists(model));
    }

    /// <summary>A black square of one bit a pixel: 17 MiB that take a GiB to decode.</summary>
    private static void WriteBitmap(string path, int side)
    {
        const int headers = 62;
        byte[] file = new byte[headers + side / 8 * side];
        "BM"u8.CopyTo(file);
        foreach (var (at, value) in new[] { (2, file.Length), (10, headers), (14, 40), (18, side), (22, side) })
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(at), value);
        // One plane of one bit, with a palette of two colours, both black.
        (file[26], file[28]) = (1, 1);
        File.WriteAllBytes(path, file);
    }
}
