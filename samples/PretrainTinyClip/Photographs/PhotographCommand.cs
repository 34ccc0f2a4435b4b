using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;
using static TorchSharp.torch;

namespace PretrainTinyClip.Photographs;

/// <summary>The inputs of a run on photographs.</summary>
/// <param name="Data">Folder with tiny-imagenet-200 and caltech101.</param>
/// <param name="Cache">Folder of the decoded photographs and the teacher's features.</param>
/// <param name="Teacher">Path of ResNet18.onnx; not needed if the cache is complete.</param>
/// <param name="HeldOut">Folder of tables of Caltech101's images that are left out, including test.tsv.</param>
/// <param name="WordNet">Folder of data.noun and index.noun.</param>
/// <param name="Initial">Folder of a model of an earlier run to begin with; null: begins with random weights.</param>
internal sealed record PhotographInputs(string Data, string Cache, string? Teacher, string? HeldOut, string WordNet, string? Initial);

/// <summary>Runs the training on photographs with console output, saves and evaluations.</summary>
internal sealed class PhotographCommand(
    PhotographInputs inputs,
    PhotographSettings settings,
    PretrainOutputs outputs,
    ScalarType products,
    CancellationToken cancellationToken
)
{
    private const int ImagesAtSaves = 1000;

    public int Run(bool prepareOnly)
    {
        var folders = new PhotographFolders(inputs.Data, inputs.HeldOut);
        var words = new WordNet(inputs.WordNet);
        var cache = new PhotographCache(inputs.Cache, folders.Photographs);
        if (inputs.Teacher is { } path)
        {
            byte[] onnx = File.ReadAllBytes(path);
            cache.Prepare(() => new TeacherNetwork(onnx, products), Console.WriteLine, cancellationToken);
        }
        if (prepareOnly || cancellationToken.IsCancellationRequested)
            return cancellationToken.IsCancellationRequested ? Interruption.ExitCode : 0;
        if (!cache.HasBegun)
            throw new ArgumentException($"'{inputs.Cache}' holds no prepared photographs yet: name ResNet18.onnx with --teacher.");

        using var training = new PhotographTraining(settings, folders, cache, words, outputs.Folder.FullName, products);
        string? checkpoint = outputs.Checkpoint?.FullName;
        if (checkpoint is not null && File.Exists(checkpoint))
        {
            training.Resume(checkpoint);
            Console.WriteLine($"Resumed at step {training.Position.Step}, after {training.Position.Elapsed:hh\\:mm\\:ss}.");
        }
        else if (inputs.Initial is { } initial)
        {
            training.BeginFrom(initial);
            Console.WriteLine($"Begins with the weights in {initial}.");
        }
        var config = training.Clip.Config;
        Console.WriteLine(
            $"{folders.Photographs.Count} photographs of {folders.Classes.Count} classes; {config.Image.Layers} image layers of "
                + $"{config.Image.Width}, {config.Text.Layers} text layers of {config.Text.Width}, {config.VocabularySize} tokens, "
                + $"{training.Clip.Values.Values.Sum(v => v.NumberOfElements):n0} parameters"
        );
        string? test = inputs.HeldOut is null ? null : Path.Combine(inputs.HeldOut, "test.tsv");
        var evaluation = new PhotographEvaluation(folders.Validation(inputs.Data), test);
        IReadOnlyList<ZeroShotResult> Evaluate(int photographs, int drawings) =>
            [
                .. evaluation.Run(training, folders.BySynset.Count, photographs),
                .. ZeroShotEvaluation.Run(
                    training.Model,
                    training.Clip.Config,
                    training.Tokenizer,
                    ZeroShotEvaluation.HeldOut(settings.Seed),
                    drawings
                ),
            ];
        void Save()
        {
            if (checkpoint is not null)
            {
                training.SaveCheckpoint(checkpoint);
                // A longer run can be resumed from this checkpoint, since the learning rate has not started to fall.
                if (settings.IsPlateau(training.Position.Step))
                    File.Copy(checkpoint, checkpoint + ".plateau", overwrite: true);
            }
            training.SaveModel();
        }
        training.Run(
            (at, losses, scale, speed) =>
                Console.WriteLine(
                    $"{at.Elapsed:hh\\:mm\\:ss} step {at.Step} of {settings.Steps}: classes {losses.Classes:f3}, "
                        + $"drawings {losses.Drawings:f3}, pooled {losses.Pooled:f3}, cells {losses.Cells:f3}, scale {scale:f1}, "
                        + $"lr {settings.LearningRateAt(at.Step):g2}, {speed:f0} images/s, "
                        + $"{at.Elapsed / at.Step * (settings.Steps - at.Step):hh\\:mm\\:ss} left"
                ),
            outputs.ReportEvery,
            () =>
            {
                Save();
                Console.WriteLine(
                    $"saved at step {training.Position.Step}: "
                        + string.Join(", ", Evaluate(ImagesAtSaves, ImagesAtSaves / 2).Select(r => $"{r.Task} {r.Accuracy:p1}"))
                );
            },
            outputs.SaveEvery,
            cancellationToken
        );
        Save();
        bool cancelled = cancellationToken.IsCancellationRequested;
        IReadOnlyList<ZeroShotResult> results = Evaluate(cancelled ? ImagesAtSaves : int.MaxValue, outputs.EvaluationImages);
        PretrainCommand.Write(results);
        PretrainCommand.WriteSummary(
            outputs.Folder.FullName,
            training.Position,
            settings.Photographs + settings.Drawings,
            settings.Seed,
            results
        );
        return cancelled ? Interruption.ExitCode : 0;
    }
}
