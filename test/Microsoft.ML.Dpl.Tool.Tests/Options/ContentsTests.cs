namespace Microsoft.ML.Dpl.Tool.Tests.Options;

/// <summary>What the command stores in a zip, and calibration by its option.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class ContentsTests(DrawnData data)
{
    [Fact]
    public async Task A_fits_zip_predicts_on_any_machine_unless_told_otherwise()
    {
        (await data.Fit()).Expect(0);
        Assert.Equal(ModelContents.WithImageTower, ModelInfo.Read(data.Model).Contents);
        string[] train = ["train", data.Table("train"), "--clip", "tiny-drawn", "--configuration", "uniform:1", "--quiet"],
            brief = ["--training-epochs", "1", "--batch-size", "8", "--threads", "2", "--report", "none", "--json", "none"];
        string zip = data.File("named.zip");
        ToolProcess.Outcome outcome = (await ToolProcess.Run([.. train, .. brief, "--contents", "prompts", "--output", zip])).Expect(0);
        Assert.Equal(ModelContents.PromptsOnly, ModelInfo.Read(zip).Contents);
        Assert.Contains("does not contain it", outcome.Output);
        Assert.Contains("DPL_CLIP", (await ToolProcess.Run("inspect", zip)).Expect(0).Error);
    }

    [Fact]
    public async Task A_calibration_needs_validation_images_and_changes_the_logit_scale()
    {
        string[] train = ["train", data.Table("train"), "--clip", "tiny-drawn", "--configuration", "uniform:1", "--verbose"],
            brief = ["--training-epochs", "1", "--batch-size", "8", "--threads", "2", "--report", "none", "--json", "none"];
        string zip = data.File("calibrated.zip");
        string refused = (await ToolProcess.Run([.. train, .. brief, "--calibrate", "--output", zip])).Expect(2).Error;
        Assert.Contains("--calibrate needs validation rows", refused);
        Assert.Contains("--validation-per-class", refused);
        ToolProcess.Outcome outcome = (
            await ToolProcess.Run([.. train, .. brief, "--calibrate", "--validation", data.Table("validation"), "--output", zip])
        ).Expect(0);
        Assert.Contains("Calibration: with a temperature of", outcome.Error);
    }
}
