using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.DataSets;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>The data sets of the literature, as small ones in the same layout.</summary>
public sealed class KnownDataSetsTests : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public KnownDataSetsTests() => CoOpLayout.Write(_root.FullPath);

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Splits_are_read_from_where_their_images_lie()
    {
        foreach (var (name, folder, images, _, first, second) in CoOpLayout.Splits)
        {
            ImageSets sets = Read(name);
            Assert.Equal((6, 4, 2), (sets.Train.Count, sets.Validation.Count, sets.Test.Count));
            Assert.All(sets.All, row => Assert.True(File.Exists(row.ImagePath), row.ImagePath));
            Assert.StartsWith(Path.Combine(_root.FullPath, folder, images), sets.Train[0].ImagePath, StringComparison.Ordinal);
            // Ordered by the split's label numbers, not alphabetically.
            Assert.Equal([first, second], sets.ClassesInOrder);
            Assert.True(sets.IsCoOpSplit);
        }
    }

    [Fact]
    public void Aircraft_are_variants_in_the_order_of_their_file()
    {
        ImageSets sets = Read("aircraft");
        Assert.Equal(["707-320", "F-16A/B"], sets.ClassesInOrder);
        Assert.Equal("F-16A/B", sets.Test[1].Label);
        Assert.All(sets.All, row => Assert.True(File.Exists(row.ImagePath), row.ImagePath));
        File.AppendAllText(_root.File("fgvc_aircraft/images_variant_val.txt"), "val3 Concorde\n");
        Assert.Contains("'val3 Concorde'", Assert.Throws<InvalidDataException>(() => Read("fgvc_aircraft")).Message);
    }

    [Fact]
    public void ImageNet_tests_on_its_validation_images_and_tells_equal_names_apart()
    {
        ImageSets sets = Read("ImageNet");
        Assert.Equal(["tench", "missile", "missile (n03)"], sets.ClassesInOrder);
        Assert.Equal((3, 0, 3), (sets.Train.Count, sets.Validation.Count, sets.Test.Count));
        Assert.Contains(Path.Combine("images", "val"), sets.Test[0].ImagePath);
        Directory.CreateDirectory(_root.File("imagenet/images/train/n99"));
        Assert.Contains("has no line in", Assert.Throws<InvalidDataException>(() => Read("imagenet")).Message);
    }

    [Theory]
    [InlineData("imagenet-v2", "tench|missile|missile (n03)")]
    [InlineData("imagenet-sketch", "tench|missile|missile (n03)")]
    [InlineData("imagenet-a", "tench|missile (n03)")]
    [InlineData("imagenet-r", "tench|missile (n03)")]
    public void Variants_are_tested_among_the_classes_that_they_have(string name, string classes)
    {
        ImageSets sets = Read(name);
        Assert.Empty(sets.Train);
        Assert.Equal(classes.Split('|'), sets.ClassesInOrder);
        Assert.Equal(classes.Split('|'), sets.Test.Select(row => row.Label));
        Assert.True(KnownDataSets.Find(name)!.IsForTestsOnly);
    }

    [Fact]
    public void Every_name_has_a_template_and_is_found_however_it_is_written()
    {
        Assert.Equal(15, KnownDataSets.All.Count);
        Assert.All(KnownDataSets.All, known => Assert.Contains("{}", KnownDataSets.Template(known)));
        Assert.Equal("a centered satellite photo of {}.", KnownDataSets.Template(KnownDataSets.Find("EuroSAT")!));
        Assert.Equal("dtd", KnownDataSets.Find("describable_textures")!.Name);
        Assert.Null(KnownDataSets.Find("mnist"));
    }

    [Fact]
    public async Task The_check_says_what_is_there_missing_or_of_another_number()
    {
        File.Delete(_root.File("eurosat/2750/c/1/test0.jpg"));
        File.Delete(_root.File("dtd/split_zhou_DescribableTextures.json"));
        Directory.Delete(_root.File("ucf101"), recursive: true);
        ToolProcess.Outcome outcome = (await ToolProcess.Run("data", "check", _root.FullPath, "--format", "json")).Expect(2);
        JsonNode Of(string name) => JsonNode.Parse(outcome.Output)!.AsArray().Single(found => (string)found!["name"]! == name)!;
        string Note(string name) => string.Join("; ", Of(name)["notes"]!.AsArray());
        Assert.Equal("otherSize", (string)Of("food101")["state"]!);
        Assert.Contains("the whole one has 101 classes; 50500 training, 20200 validation and 30300 test images", Note("food101"));
        Assert.Equal("broken", (string)Of("eurosat")["state"]!);
        Assert.Contains("1 of 12 images are missing", Note("eurosat"));
        Assert.Equal("dtd lacks split_zhou_DescribableTextures.json", Note("dtd"));
        Assert.Equal("absent", (string)Of("ucf101")["state"]!);
        ToolProcess.Outcome table = await ToolProcess.Run("data", "check", _root.FullPath);
        Assert.Contains("other size", table.Output);
    }

    [Fact]
    public void A_whole_one_is_told()
    {
        KnownDataSet small = KnownDataSets.Find("food101")! with { Size = new DataSetSize(2, 6, 4, 2) };
        DataFinding found = DataCheck.Run(small, _root.FullPath, CancellationToken.None);
        Assert.Equal(DataState.Whole, found.State);
        Assert.Empty(found.Notes);
    }

    private ImageSets Read(string name)
    {
        KnownDataSet known = KnownDataSets.Find(name)!;
        return known.Read(Path.Combine(_root.FullPath, known.Folder), CancellationToken.None);
    }
}
