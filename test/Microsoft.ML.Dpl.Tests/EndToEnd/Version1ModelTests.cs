using System.Globalization;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>
/// A model zip in format version 1, with the small random CLIP it was trained on, three images, and the scores it gave at that time. It
/// must never be regenerated: however the format changes, this zip must load and give these scores.
/// </summary>
public sealed class Version1ModelTests
{
    private static readonly string Folder = Path.Combine(
        SharedData.RepositoryRoot,
        "test",
        "Microsoft.ML.Dpl.Tests",
        "EndToEnd",
        "SavedVersion1"
    );

    [Fact]
    public void It_loads_and_gives_the_scores_it_gave()
    {
        MLContext mlContext = new MLContext().Knowing(ClipBackbone.FromFolder(Path.Combine(Folder, "clip")));
        ITransformer model = mlContext.Model.Load(Path.Combine(Folder, "model.zip"), out DataViewSchema schema);
        Assert.Equal(["Picture", "Label"], schema.Select(c => c.Name));
        using PredictionEngine<Input, Answer> engine = mlContext.Model.CreatePredictionEngine<Input, Answer>(model);
        string[][] rows = [.. File.ReadLines(Path.Combine(Folder, "scores.tsv")).Select(line => line.Split('\t'))];
        foreach (string[] row in rows.Skip(1))
        {
            Answer answer = engine.Predict(new Input { Picture = File.ReadAllBytes(Path.Combine(Folder, row[0])) });
            Assert.Equal(row[1], answer.PredictedLabel);
            Assert.Equal(3, answer.Score.Length);
            for (int c = 0; c < answer.Score.Length; c++)
                Assert.Equal(float.Parse(row[2 + c], CultureInfo.InvariantCulture), answer.Score[c], 1e-5f);
        }

        DplTransformer transformer = ((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single();
        Assert.Equal(rows[0][2..], transformer.ClassNames);
        Assert.Equal(PromptConfiguration.Parse("text 0 2 | image 1 1"), transformer.Configuration);
        Assert.Equal("a picture of a {}.", transformer.Template);
        Assert.Equal([0, 1, 2], transformer.SearchReport!.CandidateLengths);
        Assert.Equal(2, transformer.SearchReport.Epochs.Count);
    }

    private sealed class Input
    {
        public byte[] Picture { get; set; } = [];

        public string Label { get; set; } = "";
    }

    private sealed class Answer
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
