using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>An application may set libtorch's default type to double precision for the whole process; the library must not be
/// affected.</summary>
[Collection(RunsAlone.Name)]
public sealed class DefaultTypeTests(SmallBackbone small, ColourImages images) : ColourFits(small, images)
{
    private protected override DplTrainer.Options Common =>
        new() { Search = { CandidateLengths = [0, 2], Epochs = 1 }, Training = { Epochs = 1 } };

    [Fact]
    public void A_fit_and_its_scores_do_not_depend_on_the_default_type_of_tensors()
    {
        float[][] Fitted()
        {
            using DplTransformer transformer = Fit(_ => { });
            _ = transformer.Explain(Images.Test[0].ImagePath);
            return Scores(transformer);
        }
        float[][] expected = Fitted();
        ScalarType before = get_default_dtype();
        set_default_dtype(ScalarType.Float64);
        try
        {
            Assert.Equal(expected, Fitted());
        }
        finally
        {
            set_default_dtype(before);
        }
    }
}
