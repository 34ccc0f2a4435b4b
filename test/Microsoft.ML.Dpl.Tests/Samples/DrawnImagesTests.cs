using Drawing;

namespace Microsoft.ML.Dpl.Tests.Samples;

public class DrawnImagesTests
{
    private const int Side = 48;

    [Fact]
    public void Equal_seed_and_index_give_the_equal_image_and_caption_in_any_order()
    {
        var first = new DrawnImages(7);
        var second = new DrawnImages(7);
        using var firstPainter = new ScenePainter(Side);
        using var secondPainter = new ScenePainter(Side);
        byte[][] forwards = [.. Enumerable.Range(0, 60).Select(i => Paint(firstPainter, first[i].Scene))];
        for (int i = 59; i >= 0; i--)
        {
            Assert.Equal(first[i], second[i]);
            Assert.Equal(forwards[i], Paint(secondPainter, second[i].Scene));
        }
    }

    [Fact]
    public void Seeds_and_indices_give_different_images()
    {
        using var painter = new ScenePainter(Side);
        var images = new DrawnImages(1);
        IEnumerable<string> prints = Enumerable
            .Range(0, 100)
            .SelectMany(i => new[] { images[i].Scene, new DrawnImages(2)[i].Scene })
            .Select(s => Convert.ToHexString(Paint(painter, s)));
        Assert.Equal(200, prints.Distinct().Count());
    }

    [Fact]
    public void Captions_say_what_is_drawn_and_nothing_else()
    {
        var images = new DrawnImages(3);
        for (int i = 0; i < 3000; i++)
        {
            var (scene, caption) = images[i];
            Assert.True(caption.IsTrueOf(scene));
            string text = $" {caption.Text.TrimEnd('.')} ";
            bool Says(IEnumerable<string> words) => words.Any(word => text.Contains($" {word} ", StringComparison.Ordinal));
            void Agrees(int? mentioned, int drawn, IReadOnlyList<string[]> words)
            {
                if (mentioned is int index)
                    Assert.True(Says(words[index]), text);
                // The drawn value of an attribute that the caption leaves out must not appear in the text.
                else
                    Assert.False(Says(words[drawn]), text);
            }
            Agrees(caption.Shape, scene.Shape, Words.Shapes);
            Agrees(caption.Texture, scene.Texture, Words.Textures);
            Agrees(caption.Size, scene.Size, Words.Sizes);
            Agrees(caption.Light, scene.Light, Words.Lights);
            Agrees(caption.Colour, scene.Colour, Words.Colours);
            if (caption.Background is int behind)
                Assert.Contains(Words.Colours[behind], word =>
                    caption.Text.EndsWith($" on a {word} background.", StringComparison.Ordinal)
                );
            else
                Assert.DoesNotContain("background", caption.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_caption_is_true_of_images_that_differ_only_in_what_it_leaves_out()
    {
        Scene scene = new DrawnImages(1)[0].Scene with { Shape = 3, Colour = 0, Texture = 1, Background = 4 };
        var star = new Caption("a red star.", Shape: 3, Colour: 0, Texture: null, Size: null, Background: null, Light: null);
        Assert.True(star.IsTrueOf(scene));
        Assert.True(star.IsTrueOf(scene with { Texture = 2, Background = 5, Size = 0 }));
        Assert.False(star.IsTrueOf(scene with { Colour = 1 }));
        Assert.False(star.IsTrueOf(scene with { Shape = 0 }));
    }

    [Fact]
    public void Objects_have_the_colour_asked_for_and_the_background_another()
    {
        using var painter = new ScenePainter(Side);
        var seen = new HashSet<int>();
        for (int i = 0; i < 200; i++)
        {
            Scene drawn = new DrawnImages(5)[i].Scene with
            {
                Shape = 0,
                Texture = 0,
                Light = 1,
                Radius = 0.4f,
                CentreX = 0.5f,
                CentreY = 0.5f,
                BackgroundKind = BackgroundKind.Plain,
            };
            byte[] planes = Paint(painter, drawn);
            Assert.Equal(drawn.Colour, Nearest(planes, Side / 2, Side / 2));
            Assert.Equal(drawn.Background, Nearest(planes, 1, 1));
            seen.Add(drawn.Colour);
        }
        Assert.Equal(Words.Colours.Count, seen.Count);
    }

    [Fact]
    public void Every_shape_and_texture_is_drawn_differently()
    {
        using var painter = new ScenePainter(Side);
        Scene scene = new DrawnImages(1)[0].Scene with
        {
            Colour = 0,
            Background = 4,
            Radius = 0.4f,
            CentreX = 0.5f,
            CentreY = 0.5f,
            Rotation = 0,
            BackgroundKind = BackgroundKind.Plain,
        };
        var prints = new HashSet<string>();
        for (int shape = 0; shape < Words.Shapes.Count; shape++)
        for (int texture = 0; texture < Words.Textures.Count; texture++)
            prints.Add(Convert.ToHexString(Paint(painter, scene with { Shape = shape, Texture = texture })));
        Assert.Equal(Words.Shapes.Count * Words.Textures.Count, prints.Count);
    }

    private static byte[] Paint(ScenePainter painter, Scene scene)
    {
        var planes = new byte[painter.Length];
        painter.Paint(scene, planes);
        return planes;
    }

    /// <summary>The colour whose usual shade, at some brightness, is nearest to the mean around a pixel.</summary>
    private static int Nearest(byte[] planes, int x, int y)
    {
        double Mean(int plane) => Enumerable.Range(0, 9).Average(i => planes[plane * Side * Side + (y + i / 3 - 1) * Side + x + i % 3 - 1]);
        double[] mean = [Mean(0), Mean(1), Mean(2)];
        double Distance(int colour, double light)
        {
            var (red, green, blue) = Words.Shade(colour);
            return Math.Pow(mean[0] - light * red, 2) + Math.Pow(mean[1] - light * green, 2) + Math.Pow(mean[2] - light * blue, 2);
        }
        return Enumerable
            .Range(0, Words.Colours.Count)
            .MinBy(colour => ((double[])[0.75, 0.9, 1.05]).Min(light => Distance(colour, light)));
    }

    [Fact]
    public void Questions_have_one_text_for_every_answer_and_repeat_with_their_numbers()
    {
        foreach (global::Drawing.Attribute attribute in Enum.GetValues<global::Drawing.Attribute>())
        {
            IReadOnlyList<string> texts = Caption.Question(attribute, seed: 3, index: 5);
            IReadOnlyList<string[]> words = attribute switch
            {
                global::Drawing.Attribute.Shape => Words.Shapes,
                global::Drawing.Attribute.Colour => Words.Colours,
                _ => Words.Textures,
            };
            Assert.Equal(texts, Caption.Question(attribute, seed: 3, index: 5));
            Assert.Equal(words.Count, texts.Distinct().Count());
            for (int i = 0; i < texts.Count; i++)
                Assert.Contains(words[i], name => texts[i].Contains(name, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Scenes_are_easy_at_first_and_as_ever_from_the_index_given()
    {
        var easier = new DrawnImages(4, easyBefore: 1000);
        var ordinary = new DrawnImages(4);
        int white = Words.Colours.Count - 1;
        Scene[] first = [.. Enumerable.Range(0, 20).Select(i => easier[i].Scene)];
        Assert.True(first.Count(s => s.Background == white && s.Texture == 0 && s.Size == 2 && s.Colour != white) >= 15);
        double Plain(int from) => Enumerable.Range(from, 200).Average(i => easier[i].Scene.Texture == 0 ? 1.0 : 0);
        Assert.True(Plain(0) > Plain(400) && Plain(400) > Plain(800));
        for (int i = 1000; i < 1050; i++)
        {
            Assert.Equal(ordinary[i].Scene, easier[i].Scene);
            Assert.Equal(ordinary[i].Caption, easier[i].Caption);
        }
        // A caption describes the simplified scene, not the original one.
        Assert.All(Enumerable.Range(0, 200), i => Assert.True(easier[i].Caption.IsTrueOf(easier[i].Scene)));
    }
}
