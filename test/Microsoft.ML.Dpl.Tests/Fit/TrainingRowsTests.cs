using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.MLNet;

namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Reading labelled images in one pass.</summary>
public sealed class TrainingRowsTests(ImageFixture images) : IClassFixture<ImageFixture>
{
    private readonly MLContext _context = new(seed: 1);

    [Theory, MemberData(nameof(ScoringContractTests.Inputs), MemberType = typeof(ScoringContractTests))]
    public void EachRowComesWithItsImageAndClass(string form, string kind)
    {
        IDataView view = images.View(_context, Enum.Parse<ImageForm>(form), Enum.Parse<LabelKind>(kind), 9);
        TrainingRows rows = Rows(view, out LabelClasses classes);
        int i = 0;
        foreach (TrainingRow row in rows.Read())
        {
            Assert.Equal((i, FakeScorer.Classes[i % 3]), (row.Row, classes.Names[row.Class]));
            Assert.True(row.Image.Pixels[i % 3] >= 200);
            if (form == nameof(ImageForm.Path))
                Assert.Equal(images.Paths[i], row.Path);
            i++;
        }
        Assert.Equal(9, i);
    }

    [Fact]
    public void TheFirstUnreadableImageStopsThePass()
    {
        TrainingRows rows = Rows(Broken(), out _);
        var error = Assert.Throws<UnreadableImageException>(() => rows.Read().Count());
        Assert.Equal(2, error.Row);
        Assert.Contains("gone.png", error.Message);
    }

    [Fact]
    public void UnreadableImagesAreSkippedOnRequestAndCounted()
    {
        TrainingRows rows = Rows(Broken(), out _, skipUnreadable: true);
        for (int pass = 0; pass < 2; pass++)
        {
            Assert.Equal([0, 1, 3], rows.Read().Select(r => r.Row));
            Assert.Equal(2, Assert.Single(rows.Skipped).Row);
        }
    }

    [Fact]
    public void CancellationIsSeenAtTheNextRow()
    {
        var context = new MLContext();
        using var log = new HostLog(context, "Dpl", "Training");
        int read = 0;
        TrainingRows rows = Rows(images.View(context, ImageForm.Path, LabelKind.Key), out _, checkAlive: () =>
            MLNetInternals.ThrowIfCanceled(log.Host)
        );
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (TrainingRow _ in rows.Read())
            {
                if (++read == 3)
                    context.CancelExecution();
            }
        });
        Assert.Equal(3, read);
    }

    private IDataView Broken() =>
        _context.Data.LoadFromEnumerable(
            new[] { images.Paths[0], images.Paths[1], Path.Combine(images.Folder, "gone.png"), images.Paths[3] }.Select(p => new
            {
                Image = p,
                Label = "red",
            })
        );

    private static TrainingRows Rows(IDataView view, out LabelClasses classes, bool skipUnreadable = false, Action? checkAlive = null)
    {
        LabelColumn label = LabelColumn.Find(view.Schema, "Label");
        classes = label.ReadClasses(view);
        return new TrainingRows(view, ImageColumn.Find(view.Schema, "Image"), label, classes, skipUnreadable, checkAlive);
    }
}
