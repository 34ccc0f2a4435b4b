using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Tests.Display;

/// <summary>The line that shows the progress of a fit.</summary>
public sealed class FiguresTests
{
    [Theory]
    [InlineData(100, "fit, search: epoch 3/60, loss 1.234, 12.5 images/s, 00:01:05 left")]
    [InlineData(60, "fit, search: epoch 3/60, loss 1.234, 00:01:05 left")]
    [InlineData(40, "fit, search: epoch 3/60, 00:01:05 left")]
    [InlineData(10, "fit, search: epoch 3/60")]
    public void Less_important_figures_give_way(int width, string expected) =>
        Assert.Equal(
            expected,
            new Figures()
                .Add(0, "fit, search: epoch 3/60")
                .Add(2, "loss 1.234")
                .Add(4, null)
                .Add(3, Figures.Rate(12.46))
                .Add(1, Figures.Left(TimeSpan.FromSeconds(65)))
                .Within(width)
        );

    [Fact]
    public void Times_have_days_where_there_are_some()
    {
        Assert.Equal("23:59:59", Figures.Time(new TimeSpan(23, 59, 59)));
        Assert.Equal("1.02:03:04", Figures.Time(new TimeSpan(1, 2, 3, 4)));
        Assert.Null(Figures.Left(TimeSpan.Zero));
        Assert.Null(Figures.Left(null));
    }
}
