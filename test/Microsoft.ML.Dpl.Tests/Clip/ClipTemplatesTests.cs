using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.Clip;

public class ClipTemplatesTests
{
    [Fact]
    public void ImageNet_has_eighty_templates_that_differ()
    {
        Assert.Equal(80, ClipTemplates.ImageNet.Count);
        Assert.Equal(80, ClipTemplates.ImageNet.Distinct().Count());
        Assert.Equal("a bad photo of a {}.", ClipTemplates.ImageNet[0]);
        Assert.Equal("a tattoo of the {}.", ClipTemplates.ImageNet[^1]);
    }

    [Fact]
    public void PromptSrcs_are_the_first_sixty_with_the_plain_photo_in_front()
    {
        IReadOnlyList<string> templates = ClipTemplates.Named("promptsrc-60");
        Assert.Equal("a photo of a {}.", templates[0]);
        Assert.Equal(ClipTemplates.ImageNet.Take(60).Order(), templates.Order());
        Assert.Equal(ClipTemplates.ImageNet.Take(60).Where(template => template != "a photo of a {}."), templates.Skip(1));
    }

    [Theory]
    [InlineData("Caltech101", "a photo of a {}.")]
    [InlineData("OxfordPets", "a photo of a {}, a type of pet.")]
    [InlineData("OxfordFlowers", "a photo of a {}, a type of flower.")]
    [InlineData("Flowers102", "a photo of a {}, a type of flower.")]
    [InlineData("FGVCAircraft", "a photo of a {}, a type of aircraft.")]
    [InlineData("DescribableTextures", "{} texture.")]
    [InlineData("DTD", "{} texture.")]
    [InlineData("EuroSAT", "a centered satellite photo of {}.")]
    [InlineData("StanfordCars", "a photo of a {}.")]
    [InlineData("Food101", "a photo of {}, a type of food.")]
    [InlineData("SUN397", "a photo of a {}.")]
    [InlineData("UCF101", "a photo of a person doing {}.")]
    [InlineData("ImageNet", "a photo of a {}.")]
    [InlineData("ImageNetV2", "a photo of a {}.")]
    [InlineData("ImageNetSketch", "a photo of a {}.")]
    [InlineData("ImageNetA", "a photo of a {}.")]
    [InlineData("ImageNetR", "a photo of a {}.")]
    public void A_data_set_has_its_template(string name, string template) => Assert.Equal([template], ClipTemplates.Named(name));

    [Theory]
    [InlineData("oxford-pets")]
    [InlineData("Oxford Pets")]
    [InlineData("OXFORD_PETS")]
    [InlineData("oxfordpets")]
    [InlineData("--oxford_-pets ")]
    public void Case_hyphens_underscores_and_spaces_of_a_name_make_no_difference(string name) =>
        Assert.Equal(["a photo of a {}, a type of pet."], ClipTemplates.Named(name));

    [Fact]
    public void Every_name_has_templates_that_pass_the_check()
    {
        Assert.Equal(ClipTemplates.Names.Count, ClipTemplates.Names.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(ClipTemplates.Names, name => ClipTemplates.Require(ClipTemplates.Named(name), name));
        Assert.Same(ClipTemplates.ImageNet, ClipTemplates.Named("openai-80"));
    }

    [Theory]
    [InlineData("imagenet-81")]
    [InlineData("")]
    [InlineData("a photo of a {}.")]
    [InlineData("euro\nsat")]
    public void An_unknown_name_is_refused_with_the_names_that_are_known(string name)
    {
        ArgumentException refused = Assert.Throws<ArgumentException>("name", () => ClipTemplates.Named(name));
        Assert.DoesNotContain('\n', refused.Message);
        Assert.All(ClipTemplates.Names, known => Assert.Contains(known, refused.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void No_name_is_refused() => Assert.Throws<ArgumentNullException>("name", () => ClipTemplates.Named(null!));

    [Theory]
    [InlineData("a photo", "'a photo'")]
    [InlineData("{} and {}", "'{} and {}'")]
    [InlineData("a { } photo", "'a { } photo'")]
    [InlineData("", "''")]
    [InlineData(null, "''")]
    public void A_template_without_one_place_for_the_name_is_refused_by_its_place(string? template, string shown)
    {
        Assert.False(ClassTemplate.IsValid(template));
        ArgumentException one = Assert.Throws<ArgumentException>("Template", () => ClipTemplates.Require(template, "Template")),
            among = Assert.Throws<ArgumentException>("Templates", () => ClipTemplates.Require(["a {}.", template!], "Templates"));
        Assert.StartsWith($"Template must hold {{}} once, where the class name goes; it is {shown}.", one.Message);
        Assert.StartsWith($"Templates[1] must hold {{}} once, where the class name goes; it is {shown}.", among.Message);
    }

    [Theory]
    [InlineData("a photo of a {}.")]
    [InlineData("A photo  of a {}. ")]
    public void A_template_that_CLIP_reads_like_an_earlier_one_is_refused(string again)
    {
        ArgumentException refused = Assert.Throws<ArgumentException>("Templates", () =>
            ClipTemplates.Require(["a photo of a {}.", "{} texture.", again], "Templates")
        );
        Assert.StartsWith("Templates[0] and Templates[2] are the same text to CLIP", refused.Message);
    }

    [Fact]
    public void No_template_at_all_is_refused()
    {
        Assert.StartsWith(
            "Templates is empty: give at least one",
            Assert.Throws<ArgumentException>("Templates", () => ClipTemplates.Require([], "Templates")).Message
        );
        Assert.Throws<ArgumentException>("Templates", () => ClipTemplates.Require((IEnumerable<string>?)null, "Templates"));
    }
}
