using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Protocols;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>What each protocol trains on and tests, with small data sets in CoOp's layout.</summary>
public sealed class StudyDataTests : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public StudyDataTests() => CoOpLayout.Write(_root.File("data"));

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Few_shots_are_drawn_and_all_classes_tested()
    {
        ProtocolSets sets = Sets("""{ "protocol": "few-shot", "shots": [2], "dataSets": ["eurosat"] }""");
        Assert.Equal(["Sea or Lake", "Annual Crop Land"], sets.Classes);
        // Two of three images per class for training, and as many for validation.
        Assert.Equal((4, 4), (sets.Train.Count, sets.Validation.Count));
        ProtocolTest test = Assert.Single(sets.Tests);
        Assert.Equal(sets.Classes, test.Classes);
        Assert.Equal(2, test.Rows.Count);
        Assert.Equal("a centered satellite photo of {}.", test.Template);
    }

    [Fact]
    public void The_first_half_of_the_classes_in_the_splits_order_is_the_base()
    {
        ProtocolSets sets = Sets("""{ "protocol": "base-to-new", "dataSets": ["food101"] }""");
        // In alphabetical order it would be apple_pie.
        Assert.Equal(["waffles"], sets.Classes);
        Assert.All(sets.Train.Concat(sets.Validation), row => Assert.Equal("waffles", row.Label));
        Assert.Equal([("base", "waffles"), ("new", "apple_pie")], sets.Tests.Select(test => (test.Name, Assert.Single(test.Classes))));
        Assert.All(sets.Tests, test => Assert.All(test.Rows, row => Assert.Equal(test.Classes[0], row.Label)));
    }

    [Fact]
    public void Of_an_odd_number_the_base_has_one_class_more()
    {
        ProtocolSets sets = Sets("""{ "protocol": "base-to-new", "dataSets": ["imagenet"] }""");
        Assert.Equal(["tench", "missile"], sets.Classes);
        Assert.Equal([2, 1], sets.Tests.Select(test => test.Classes.Count));
    }

    [Fact]
    public void A_transfer_tests_its_source_and_every_target_among_its_own_classes()
    {
        ProtocolSets sets = Sets(
            """{ "protocol": "domain-shift", "source": "imagenet", "dataSets": ["imagenet-v2", "imagenet-r", "dtd"] }"""
        );
        Assert.Equal(["imagenet", "imagenet-v2", "imagenet-r", "dtd"], sets.Tests.Select(test => test.Name));
        Assert.Equal([3, 3, 2, 2], sets.Tests.Select(test => test.Classes.Count));
        Assert.Equal("{} texture.", sets.Tests[3].Template);
        // Of a data set with a split, only the test images.
        Assert.Equal(2, sets.Tests[3].Rows.Count);
    }

    [Fact]
    public void What_is_wrong_with_the_images_is_known_before_the_first_run()
    {
        File.Delete(_root.File("data/ucf101/UCF-101-midframes/c/0/test0.jpg"));
        Assert.Contains(
            "images of the test 'test' of few-shot ucf101, seed 1, default",
            Assert.Throws<FileNotFoundException>(() => Check("""{ "protocol": "few-shot", "dataSets": ["ucf101"] }""")).Message
        );
        File.WriteAllText(
            _root.File("train.tsv"),
            "ImagePath\tLabel\ndata/dtd/images/c/0/train0.jpg\ta\ndata/dtd/images/c/0/train1.jpg\tb\n"
        );
        File.WriteAllText(_root.File("test.tsv"), "ImagePath\tLabel\ndata/dtd/images/c/0/test0.jpg\tc\n");
        Assert.Contains(
            "there are no training images of the class 'c'",
            Assert
                .Throws<InvalidDataException>(() =>
                    Check("""{ "protocol": "few-shot", "dataSets": [{ "name": "own", "train": "train.tsv", "test": "test.tsv" }] }""")
                )
                .Message
        );
        Assert.Contains(
            "has no images for its test 'test'",
            Assert
                .Throws<InvalidDataException>(() =>
                    Check("""{ "protocol": "few-shot", "dataSets": [{ "name": "own", "train": "train.tsv" }] }""")
                )
                .Message
        );
    }

    [Fact]
    public void Every_seed_has_its_own_images_where_their_folder_alone_is_named_by_the_seed()
    {
        foreach (string split in new[] { "train", "test" })
            File.WriteAllText(_root.File($"{split}.tsv"), "ImagePath\tLabel\n0.jpg\ta\n1.jpg\tb\n");
        string file = _root.File("plan.json");
        File.WriteAllText(
            file,
            """
            { "clip": "tiny-drawn", "seeds": [1, 2], "protocol": "few-shot", "methods": ["zero-shot", "default"],
              "dataSets": [{ "name": "own", "train": "train.tsv", "test": "test.tsv", "imageRoot": "images-{seed}" }] }
            """
        );
        StudyPlan plan = StudyPlan.Read(file);
        Assert.Equal(
            ["seed-1.zero-shot.json", "seed-1.default.json", "seed-2.zero-shot.json", "seed-2.default.json"],
            plan.Runs.Select(run => Path.GetFileName(run.FileName))
        );
        StudyData data = Data();
        foreach (StudyRun run in plan.Runs)
        {
            ProtocolSets sets = data.SetsFor(run);
            Assert.All(sets.Train.Concat(Assert.Single(sets.Tests).Rows), row =>
                Assert.Equal(_root.File($"images-{run.Seed}"), Path.GetDirectoryName(row.ImagePath))
            );
        }
    }

    private ProtocolSets Sets(string part) => Data().SetsFor(Run(part));

    private void Check(string part) => Data().Check(Run(part));

    private static StudyData Data() => new(warning => Assert.Fail(warning), CancellationToken.None);

    private StudyRun Run(string part)
    {
        string file = _root.File("plan.json");
        File.WriteAllText(
            file,
            $$"""{ "clip": "tiny-drawn", "data": "data", "seeds": [1], "methods": ["default"], "parts": [{{part}}] }"""
        );
        return Assert.Single(StudyPlan.Read(file).Runs);
    }
}
