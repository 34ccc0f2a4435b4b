using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>The command's messages are in its own terms: options as they are typed, never the names used in code.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class AdviceTests(DrawnData data)
{
    private string[] Train(string table, string output, params string[] more) =>
        [
            "train",
            table,
            "--clip",
            "tiny-drawn",
            "--configuration",
            "uniform:1",
            "--training-epochs",
            "1",
            "--report",
            "none",
            "--json",
            "none",
            "--output",
            data.File(output),
            .. more,
        ];

    [Fact]
    public async Task A_damaged_training_image_names_the_option_that_leaves_it_out()
    {
        string broken = data.File("damaged.jpg"),
            table = data.File("damaged.tsv");
        File.WriteAllBytes(broken, [0xFF, 0xD8, 0xFF, 0xE0, 1, 2, 3]);
        File.WriteAllText(table, File.ReadAllText(data.Table("train")).Replace("train/", $"{data.Folder}/lighting/train/"));
        File.AppendAllText(table, $"{broken}\t{data.Rows("train")[0].Label}\n");

        ToolProcess.Outcome refused = (await ToolProcess.Run(Train(table, "damaged.zip"))).Expect(2);
        string line = Assert.Single(refused.ErrorLines);
        Assert.Contains(broken, line);
        Assert.EndsWith(" Repair or replace the image, or leave such images out with --skip-unreadable.", line);

        ToolProcess.Outcome skipped = (await ToolProcess.Run(Train(table, "damaged.zip", "--skip-unreadable"))).Expect(0);
        Assert.Contains(skipped.ErrorLines, warning => warning.Contains("1 training images could not be read"));
    }

    [Fact]
    public async Task A_baseline_without_test_images_is_refused_before_the_fit()
    {
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run(Train(data.Table("train"), "none.zip", "--baseline", "zero-shot", "uniform:2"))
        ).Expect(2);
        Assert.Contains("name some with --test, or leave --baseline out", Assert.Single(outcome.ErrorLines));
        Assert.False(File.Exists(data.File("none.zip")));
    }

    [Fact]
    public async Task More_shots_than_there_are_images_are_told()
    {
        ToolProcess.Outcome outcome = (await ToolProcess.Run(Train(data.Table("train"), "few.zip", "--shots", "50"))).Expect(0);
        Assert.Contains(outcome.ErrorLines, line =>
            line.Contains("8 classes have fewer than --shots 50 training images, of which all are used; '", StringComparison.Ordinal)
        );
    }

    [Fact]
    public async Task A_model_whose_CLIP_is_gone_asks_for_clip()
    {
        using var folder = new TemporaryFolder();
        string clip = Directory.CreateDirectory(folder.File("clip")).FullName;
        foreach (string path in Directory.GetFiles(ClipBackbone.TinyDrawn.Location!))
            File.Copy(path, Path.Combine(clip, Path.GetFileName(path)));
        // Weights that differ from those of the embedded CLIP, which would otherwise be found automatically.
        string weights = Path.Combine(clip, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^2] ^= 1;
        File.WriteAllBytes(weights, bytes);
        string[] train = [.. Train(data.Table("train"), "orphan.zip"), "--contents", "prompts"];
        train[Array.IndexOf(train, "tiny-drawn")] = clip;
        Assert.Contains($"It names the CLIP at {clip} and does not contain it", (await ToolProcess.Run(train)).Expect(0).Output);
        Directory.Move(clip, folder.File("moved"));

        string[] predict = ["predict", data.File("orphan.zip"), data.Rows("test")[0].Path];
        string line = Assert.Single((await ToolProcess.Run(predict)).Expect(2).ErrorLines);
        Assert.Contains("Point to its folder with the environment variable DPL_CLIP, or name it with --clip. Looked at:", line);
        Assert.DoesNotContain("ClipBackbone", line);
        (await ToolProcess.Run([.. predict, "--clip", folder.File("moved")])).Expect(0);
    }

    /// <summary>Defaults with several values are shown as they are typed.</summary>
    [Theory]
    [InlineData("fit")]
    [InlineData("search")]
    [InlineData("compare")]
    public async Task Help_writes_defaults_as_they_are_typed(string verb)
    {
        string help = (await ToolProcess.Run(verb, "--help")).Expect(0).Output;
        Assert.DoesNotMatch(@"\[default: [^\]]*\|", help);
        Assert.Contains("Default: 0 4 8 16;", help);
        Assert.Contains(verb == "compare" ? "Default: zero-shot uniform:4 search." : "--json", help);
    }
}
