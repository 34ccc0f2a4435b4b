using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Models;

public sealed class NearestTokensTests
{
    public NearestTokensTests() => LibTorch.EnsureLoaded();

    /// <summary>Worked by hand: token 0 has the same direction but is far away, token 2 is near but at an angle, and token 3 is
    /// opposite.</summary>
    [Fact]
    public void The_two_measures_differ_as_they_should()
    {
        using var scope = NewDisposeScope();
        Tensor embeddings = tensor(
                new float[,]
                {
                    { 10, 0 },
                    { 0, 5 },
                    { 1, 1 },
                    { -1, 0 },
                }
            ),
            rows = tensor(
                new float[,]
                {
                    { 1, 0 },
                }
            );
        Assert.Equal([(2, 1f), (3, 2f)], NearestTokens.Find(rows, embeddings, [0, 1, 2, 3], 2, WordDistance.Euclidean)[0]);
        (int Id, float Distance)[] cosine = NearestTokens.Find(rows, embeddings, [0, 1, 2, 3], 4, WordDistance.Cosine)[0];
        Assert.Equal([0, 2, 1, 3], cosine.Select(c => c.Id));
        Assert.Equal([0, 1 - Math.Sqrt(0.5), 1, 2], cosine.Select(c => (double)c.Distance), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void Only_the_tokens_that_exist_are_chosen_from()
    {
        using var scope = NewDisposeScope();
        Tensor embeddings = tensor(
            new float[,]
            {
                { 0, 0 },
                { 1, 0 },
                { 2, 0 },
                { 3, 0 },
            }
        );
        Assert.Equal(
            [1, 3],
            NearestTokens.Find(embeddings.narrow(0, 0, 1), embeddings, [1, 3], 2, WordDistance.Euclidean)[0].Select(n => n.Id)
        );
    }
}
