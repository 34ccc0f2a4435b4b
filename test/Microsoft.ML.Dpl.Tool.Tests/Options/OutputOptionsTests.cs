using System.CommandLine;
using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Tests.Report;

namespace Microsoft.ML.Dpl.Tool.Tests.Options;

/// <summary>Names of the files beside an output.</summary>
public sealed class OutputOptionsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.zip", "model")]
    [InlineData("model.ZIP", "model")]
    [InlineData("configuration.json", "configuration")]
    [InlineData("model", "model")]
    [InlineData("lr0.001", "lr0.001")]
    [InlineData("lr0.001.zip", "lr0.001")]
    public void Files_beside_an_output_have_its_name(string output, string name)
    {
        OutputFiles files = Check(isModel: true, ["--output", _folder.File(output)]);
        Assert.Equal(_folder.File($"{name}.results.json"), files.Results!.FullPath);
        Assert.Equal(_folder.File($"{name}.report.html"), files.Report!.FullPath);
    }

    [Fact]
    public void Results_of_another_command_or_model_are_not_replaced()
    {
        string results = _folder.File("flowers.results.json");
        string[] model = ["--output", _folder.File("flowers.zip")],
            search = ["--output", _folder.File("flowers.json")];
        Write(modelPath: null);
        Check(isModel: false, search);
        string refusal = Refusal(isModel: true, model);
        Assert.Contains($"'{results}', which has those of a search", refusal);
        Assert.Contains("--json", refusal);
        Check(isModel: true, [.. model, "--json", results]);
        Check(isModel: true, [.. model, "--json", "none"]);

        // The folder may have been moved since.
        Write(Path.Combine("elsewhere", "flowers.zip"));
        Check(isModel: true, model);
        Assert.Contains("which has those of the model '", Refusal(isModel: false, search));
        Assert.Contains("which has those of the model '", Refusal(isModel: true, ["--output", _folder.File("flowers")]));

        File.WriteAllText(results, "{}");
        Assert.Contains("Move it away", Refusal(isModel: true, model));
        Assert.Equal("{}", File.ReadAllText(results));

        void Write(string? modelPath)
        {
            using var fit = new ReportedFit();
            File.WriteAllText(results, ResultsJson.Write(fit.Bare with { ModelPath = modelPath }));
        }
    }

    private static string Refusal(bool isModel, string[] words) => Assert.Throws<ArgumentException>(() => Check(isModel, words)).Message;

    private static OutputFiles Check(bool isModel, string[] words)
    {
        var options = new OutputOptions("the output", "output", hasReport: isModel);
        var command = new RootCommand();
        options.AddTo(command);
        return options.Check(command.Parse(words));
    }
}
