using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Studies.Plan;
using Microsoft.ML.Dpl.Tool.Studies.Runs;

namespace Microsoft.ML.Dpl.Tool.Tests.Studies;

/// <summary>Plans are read completely before the first run, and errors are reported by file and property.</summary>
public sealed class StudyPlanTests : IDisposable
{
    private const string Own = """{ "name": "own", "train": "t.tsv", "test": "t.tsv" }""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_part_takes_from_the_plan_what_it_does_not_say()
    {
        StudyPlan plan = Read(
            $$"""
            { // comments are allowed
              "clip": "tiny-drawn", "seeds": [1, 2, 3], "dataSets": [{{Own}}], "methods": ["zero-shot", { "name": "four", "method": "uniform:4  refit" }],
              "parts": [
                { "protocol": "few-shot", "shots": [1, 16] },
                { "protocol": "base-to-new", "shots": [16], "seeds": [1], "methods": ["default"] }, ] }
            """
        );
        Assert.Equal(
            [
                "few-shot/own/zero-shot.json",
                "few-shot/own/1-shot.seed-1.four.json",
                "few-shot/own/1-shot.seed-2.four.json",
                "few-shot/own/1-shot.seed-3.four.json",
                "few-shot/own/16-shot.seed-1.four.json",
                "few-shot/own/16-shot.seed-2.four.json",
                "few-shot/own/16-shot.seed-3.four.json",
                "base-to-new/own/16-shot.seed-1.default.json",
            ],
            plan.Runs.Select(run => run.FileName)
        );
        Assert.Equal("uniform:4 refit", plan.Runs[1].Method.Text);
        Assert.Equal((1, "cpu"), (plan.Threads, plan.Device));
    }

    [Fact]
    public void A_part_may_say_otherwise_whatever_the_plan_says()
    {
        StudyPlan plan = Read(
            $$"""
            { "clip": "tiny-drawn", "protocol": "few-shot", "seeds": [1, 2], "shots": [4], "dataSets": [{{Own}}], "methods": ["search"],
              "source": {{Own}}, "resnet18": "nowhere",
              "parts": [
                { "protocol": "few-shot", "seeds": [7], "shots": [1], "methods": ["default"], "resnet18": "a",
                  "dataSets": [{ "name": "first", "train": "t.tsv", "test": "t.tsv" }] },
                { "protocol": "domain-shift", "seeds": [8], "shots": null, "methods": ["uniform:4"], "resnet18": "b",
                  "dataSets": [{ "name": "second", "train": "t.tsv", "test": "t.tsv" }],
                  "source": { "name": "third", "train": "t.tsv", "test": "t.tsv" } }] }
            """
        );
        // The second part has no number of shots, although the plan sets one for all parts.
        Assert.Equal(
            ["few-shot/first/1-shot.seed-7.default.json", $"domain-shift/third/{plan.Runs[1].FileName.Split('/')[2]}"],
            plan.Runs.Select(run => run.FileName)
        );
        Assert.Null(plan.Runs[1].Shots);
        Assert.Null(plan.Parts[0].Source);
    }

    [Fact]
    public void A_source_of_the_plan_is_for_the_parts_that_train_on_one_data_set()
    {
        StudyPlan plan = Read(
            $$"""
            { "clip": "tiny-drawn", "seeds": [1], "dataSets": [{{Own}}], "methods": ["default"],
              "source": { "name": "source", "train": "t.tsv", "test": "t.tsv" },
              "parts": [{ "protocol": "few-shot" }, { "protocol": "cross-data-set" }] }
            """
        );
        Assert.Equal(
            ["few-shot/own/seed-1.default.json", "cross-data-set/source/seed-1.default.json"],
            plan.Runs.Select(run => run.FileName)
        );
    }

    [Fact]
    public void Files_of_runs_are_readable_and_differ_where_names_do()
    {
        StudyPlan plan = Read(
            $$"""
            { "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [{{Own}}],
              "methods": ["uniform:4 batch=8", "uniform:4 crop=0.8", { "name": "A", "method": "search" }, { "name": "a", "method": "search" }] }
            """
        );
        Assert.Equal(4, plan.Runs.Select(run => run.FileName.ToLowerInvariant()).Distinct().Count());
        Assert.All(plan.Runs, run => Assert.Matches("^few-shot/own/seed-1\\.[a-z0-9.~_-]+\\.json$", run.FileName));
        Assert.StartsWith("few-shot/own/seed-1.uniform-4-batch-8~", plan.Runs[0].FileName, StringComparison.Ordinal);
    }

    [Fact]
    public void Data_with_a_draw_for_each_seed_repeats_even_what_learns_nothing()
    {
        StudyPlan plan = Read(
            """
            { "clip": "tiny-drawn", "seeds": [1, 2], "protocol": "few-shot", "methods": ["zero-shot"],
              "dataSets": [{ "name": "own", "train": "t{seed}.tsv", "test": "t.tsv" }] }
            """
        );
        Assert.Equal(["few-shot/own/seed-1.zero-shot.json", "few-shot/own/seed-2.zero-shot.json"], plan.Runs.Select(run => run.FileName));
    }

    [Fact]
    public void Targets_with_a_draw_for_each_seed_repeat_the_tests_of_their_source()
    {
        StudyPlan plan = Read(
            """
            { "clip": "tiny-drawn", "seeds": [1, 2], "protocol": "cross-data-set", "methods": ["zero-shot"],
              "source": { "name": "source", "train": "t.tsv", "test": "t.tsv" },
              "dataSets": [{ "name": "fixed", "train": "t.tsv", "test": "t.tsv" },
                           { "name": "drawn", "train": "t.tsv", "test": "t{seed}.tsv" }] }
            """
        );
        Assert.Equal(
            ["cross-data-set/source/seed-1.zero-shot.json", "cross-data-set/source/seed-2.zero-shot.json"],
            plan.Runs.Select(run => run.FileName)
        );
    }

    [Fact]
    public void A_changed_template_of_a_test_counts_where_the_test_is_fitted_with_it()
    {
        StudyPlan WithTemplate(string template) =>
            Read(
                $$"""
                { "clip": "tiny-drawn", "seeds": [1], "protocol": "cross-data-set", "methods": ["zero-shot", "default"], "source": {{Own}},
                  "dataSets": [{ "name": "target", "train": "t.tsv", "template": "{{template}}" }] }
                """
            );
        RunSettings Settings(StudyPlan plan, int run) => StudyRunner.Settings(plan, ClipBackbone.TinyDrawn, plan.Runs[run]);
        StudyPlan before = WithTemplate("a {}."),
            after = WithTemplate("one {}.");
        Assert.Equal(
            "another list of the tests' templates: 'a photo of a {}.; a {}.' instead of 'a photo of a {}.; one {}.'",
            Settings(after, 0).Difference("", "", Settings(before, 0))
        );
        Assert.Null(Settings(after, 0).Difference("", "", Settings(after, 0)));
        // Older results do not have the templates of their tests.
        Assert.Null(Settings(after, 0).Difference("", "", Settings(before, 0) with { TestTemplates = null }));
        // A trained method keeps the template of its source.
        Assert.Null(Settings(after, 1).Difference("", "", Settings(before, 1)));
    }

    [Theory]
    [InlineData("""{ "clip": "tiny-drawn" """, "is not JSON")]
    [InlineData("""[]""", "must be an object in {}")]
    [InlineData("""{ "seeds": [1] }""", "lacks 'clip'")]
    [InlineData("""{ "clip": "tiny-drawn", "colour": 1, PART }""", "has an unknown property 'colour'; the known ones are clip, data")]
    [InlineData("""{ "clip": "tiny-drawn", "threads": 0, PART }""", "threads must be a whole number of at least 1")]
    [InlineData(
        """{ "clip": "tiny-drawn", "protocol": "many-shot", REST }""",
        "protocol is 'many-shot', which is not a protocol; known: few-shot"
    )]
    [InlineData("""{ "clip": "tiny-drawn", "protocol": "few-shot" }""", "lacks 'methods'")]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [], "protocol": "few-shot", "dataSets": [OWN], "methods": ["default"] }""",
        "seeds must be a list"
    )]
    [InlineData("""{ "clip": "tiny-drawn", "clip": "tiny-drawn", PART }""", "has 'clip' twice")]
    [InlineData("""{ "clip": "tiny-drawn", "shots": [0], PART }""", "shots[0] must be a whole number of at least 1")]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": ["mnist"], "methods": ["default"] }""",
        "dataSets[0] names the unknown data set 'mnist'; the known ones are imagenet, caltech101"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": ["eurosat"], "methods": ["default"] }""",
        "dataSets[0] names 'eurosat', but the plan has no 'data'"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [OWN], "methods": ["default", "uniform:x"] }""",
        "methods[1] is not a method: 'uniform:x' in the method 'uniform:x' is not known: give numbers of rows"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [OWN], "methods": ["default stepz=3"] }""",
        "methods[0] is not a method: 'stepz=3' in the method 'default stepz=3' is not known: give refit, paper"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [OWN], "methods": ["default", "default"] }""",
        "has two methods named 'default'"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [OWN, OWN], "methods": ["default"] }""",
        "has the run 'few-shot own, seed 1, default' twice"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1, 1], "protocol": "few-shot", "dataSets": [OWN], "methods": ["default"] }""",
        "has the run 'few-shot own, seed 1, default' twice"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "cross-data-set", "dataSets": [OWN], "methods": ["default"] }""",
        "lacks 'source'"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "protocol": "domain-shift", "source": OWN, REST }""",
        "tests 'own' twice: its source is tested without being among its dataSets"
    )]
    [InlineData(
        """
            { "clip": "tiny-drawn", "seeds": [1], "source": { "name": "other", "train": "t" }, "dataSets": [OWN, OWN],
              "methods": ["default"], "parts": [{ "protocol": "cross-data-set" }] }
            """,
        "parts[0] tests 'own' twice"
    )]
    [InlineData("""{ "clip": "tiny-drawn", "device": "gpu", PART }""", "device is 'gpu', which is not a device: use cpu, cuda or cuda:n")]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "source": OWN, "dataSets": [OWN], "methods": ["default"] }""",
        "source has no meaning with the protocol few-shot"
    )]
    [InlineData(
        """
            { "clip": "tiny-drawn", "seeds": [1], "source": OWN, "dataSets": [OWN], "methods": ["default"],
              "parts": [{ "protocol": "few-shot" }] }
            """,
        "source has no meaning with the protocol of any part: leave it out"
    )]
    [InlineData(
        """
            { "clip": "tiny-drawn", "seeds": [1], "dataSets": [OWN], "methods": ["default"],
              "parts": [{ "protocol": "few-shot", "source": OWN }] }
            """,
        "parts[0].source has no meaning with the protocol few-shot: leave it out"
    )]
    [InlineData("""{ "clip": "tiny-drawn", REST, "parts": [{ "protocol": "few-shot", "seeds": null }] }""", "parts[0] lacks 'seeds'")]
    [InlineData("""{ "clip": "tiny-drawn", REST, "colour": 1, "parts": [{ "protocol": "few-shot" }] }""", "unknown property 'colour'")]
    [InlineData(
        """{ "clip": "tiny-drawn", "data": ".", "seeds": [1], "protocol": "few-shot", "dataSets": ["imagenet-a"], "methods": ["default"] }""",
        "cannot be trained on 'imagenet-a'"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [{ "name": "own", "train": "t", "tset": "u" }], "methods": ["default"] }""",
        "dataSets[0] has an unknown property 'tset'; the known ones are name, train, validation, test"
    )]
    [InlineData(
        """{ "clip": "tiny-drawn", "seeds": [1], "protocol": "few-shot", "dataSets": [{ "name": "own", "train": "t", "template": "a photo" }], "methods": ["default"] }""",
        "dataSets[0].template must hold {} once"
    )]
    public void Bad_plans_are_refused_with_the_place(string json, string expected)
    {
        string plan = json.Replace("PART", """ "protocol": "few-shot", REST """, StringComparison.Ordinal)
            .Replace("REST", """ "seeds": [1], "dataSets": [OWN], "methods": ["default"] """, StringComparison.Ordinal)
            .Replace("OWN", Own, StringComparison.Ordinal);
        string message = Assert.Throws<InvalidDataException>(() => Read(plan)).Message;
        Assert.Contains(expected, message);
        Assert.Contains("plan.json", message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Data_that_is_not_there_is_told_by_its_property()
    {
        StudyPlan plan = Read(
            $$"""
            { "clip": "tiny-drawn", "data": "root", "seeds": [1], "protocol": "few-shot", "dataSets": ["eurosat", {{Own}}], "methods": ["default"] }
            """
        );
        string Refusal(int run) =>
            Assert.Throws<InvalidDataException>(() => plan.Runs[run].Data.Read(1, _ => { }, CancellationToken.None)).Message;
        Assert.Contains("dataSets[0] names 'eurosat', but", Refusal(0));
        Assert.Contains($"is not there: dpl data check says what belongs there.", Refusal(0));
        Assert.Contains("dataSets[1] cannot be read: There is no file or folder", Refusal(1));
    }

    [Fact]
    public void The_folder_of_known_data_sets_can_be_named_beside_the_plan()
    {
        string file = _folder.File("plan.json");
        File.WriteAllText(
            file,
            """
            { "clip": "tiny-drawn", "data": "elsewhere", "seeds": [1], "protocol": "few-shot", "dataSets": ["eurosat"],
              "methods": ["default"] }
            """
        );
        string Refusal(string? data) =>
            Assert
                .Throws<InvalidDataException>(() => StudyPlan.Read(file, data).Runs[0].Data.Read(1, _ => { }, CancellationToken.None))
                .Message;
        Assert.Contains(Path.Combine(_folder.FullPath, "elsewhere", "eurosat"), Refusal(null));
        Assert.Contains(Path.Combine(_folder.FullPath, "here", "eurosat"), Refusal(_folder.File("here")));
        File.WriteAllText(file, File.ReadAllText(file).Replace("\"data\": \"elsewhere\", ", "", StringComparison.Ordinal));
        Assert.Contains("there or with --data", Refusal(null));
        Assert.Contains(Path.Combine(_folder.FullPath, "here", "eurosat"), Refusal(_folder.File("here")));
    }

    [Theory]
    [InlineData("1/1", 0, 1)]
    [InlineData("2/4", 1, 4)]
    public void A_shard_can_be_named(string text, int index, int count) =>
        Assert.Equal(new Shard(index, count), Shard.Read(text, _ => throw new InvalidOperationException()));

    [Theory]
    [InlineData("0/4")]
    [InlineData("5/4")]
    [InlineData("1")]
    [InlineData("a/b")]
    public void A_shard_out_of_range_is_refused(string text) =>
        Assert.Contains("--shard", Assert.Throws<ArgumentException>(() => Shard.Read(text, _ => null)).Message);

    [Fact]
    public void Schedulers_say_which_shard_it_is()
    {
        static Shard Of(params (string Name, string Value)[] set) =>
            Shard.Read(null, name => set.FirstOrDefault(variable => variable.Name == name).Value);
        Assert.Equal(Shard.Whole, Of());
        Assert.Equal(new Shard(2, 4), Of(("SLURM_ARRAY_TASK_ID", "12"), ("SLURM_ARRAY_TASK_MIN", "10"), ("SLURM_ARRAY_TASK_COUNT", "4")));
        Assert.Equal(new Shard(3, 8), Of(("JOB_COMPLETION_INDEX", "3"), ("JOB_PARALLELISM", "8")));
        Assert.Equal(new Shard(3, 16), Of(("JOB_COMPLETION_INDEX", "3"), ("JOB_PARALLELISM", "8"), ("JOB_COMPLETIONS", "16")));
        Assert.Contains(
            "SLURM_ARRAY_TASK_ID names shard 5 of 4",
            Assert.Throws<ArgumentException>(() => Of(("SLURM_ARRAY_TASK_ID", "4"), ("SLURM_ARRAY_TASK_COUNT", "4"))).Message
        );
        Assert.Contains("JOB_COMPLETIONS", Assert.Throws<ArgumentException>(() => Of(("JOB_COMPLETION_INDEX", "0"))).Message);
    }

    [Fact]
    public void Shards_share_all_runs()
    {
        Shard[] shards = [new(0, 3), new(1, 3), new(2, 3)];
        Assert.All(Enumerable.Range(0, 20), place => Assert.Single(shards, shard => shard.Has(place)));
    }

    private StudyPlan Read(string json)
    {
        string file = _folder.File("plan.json");
        File.WriteAllText(file, json);
        return StudyPlan.Read(file);
    }
}
