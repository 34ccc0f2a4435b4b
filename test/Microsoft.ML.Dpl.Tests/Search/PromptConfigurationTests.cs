namespace Microsoft.ML.Dpl.Tests.Search;

public class PromptConfigurationTests
{
    private static readonly PromptConfiguration Example = new([6, 6, 4, 0], [0, 2, 6]);

    [Fact]
    public void Text_form_goes_both_ways()
    {
        Assert.Equal("text 6 6 4 0 | image 0 2 6", Example.ToString());
        Assert.Equal(Example, PromptConfiguration.Parse(Example.ToString()));
        Assert.Equal(Example, PromptConfiguration.Parse("  image 0 2   6|text 6 6 4 0"));
    }

    [Fact]
    public void Json_form_goes_both_ways()
    {
        Assert.Equal("""{"text":[6,6,4,0],"image":[0,2,6]}""", Example.ToJson());
        Assert.Equal(Example, PromptConfiguration.FromJson(Example.ToJson()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("text 1 2")]
    [InlineData("text 1 | text 2")]
    [InlineData("text | image 1")]
    [InlineData("text -1 | image 1")]
    [InlineData("text 1025 | image 1")]
    [InlineData("text 1.5 | image 1")]
    [InlineData("text 1 | image 1 | image 1")]
    public void Anything_else_is_refused_with_the_form(string text) =>
        Assert.Contains("The form is", Assert.Throws<FormatException>(() => PromptConfiguration.Parse(text)).Message);

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"text":[1],"image":[]}""")]
    [InlineData("""{"text":[-1],"image":[1]}""")]
    [InlineData("""{"text":"6","image":[1]}""")]
    public void Broken_json_is_refused(string json) => Assert.Throws<FormatException>(() => PromptConfiguration.FromJson(json));

    [Fact]
    public void Equality_is_by_value()
    {
        Assert.Equal(Example.GetHashCode(), new PromptConfiguration([6, 6, 4, 0], [0, 2, 6]).GetHashCode());
        Assert.NotEqual(Example, new PromptConfiguration([6, 6, 4], [0, 2, 6]));
        Assert.False(Example.IsZeroShot);
        Assert.True(new PromptConfiguration([0], [0, 0]).IsZeroShot);
    }

    [Fact]
    public void The_callers_array_is_copied()
    {
        int[] lengths = [1, 2];
        var configuration = new PromptConfiguration(lengths, lengths);
        lengths[0] = 5;
        Assert.Equal([1, 2], configuration.Text);
    }
}
