using System.Globalization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>The position of a run.</summary>
/// <param name="Step">Number of steps taken.</param>
/// <param name="Elapsed">Total time of these steps over all sessions of the run.</param>
internal sealed record RunPosition(long Step, TimeSpan Elapsed);

/// <summary>A run's state in one safetensors file: weights in float32 under OpenAI's names, the optimizer's state as bytes, the position as
/// metadata.</summary>
internal static class Checkpoint
{
    private const string OptimizerName = "optimizer",
        StepName = "step",
        SecondsName = "seconds";

    public static void Save(string path, IReadOnlyDictionary<string, Tensor> values, AdamW optimizer, RunPosition position)
    {
        using var scope = NewDisposeScope();
        using var state = new MemoryStream();
        using (var writer = new BinaryWriter(state, System.Text.Encoding.UTF8, leaveOpen: true))
            optimizer.save_state_dict(writer);
        var tensors = values.ToDictionary(v => v.Key, v => v.Value);
        tensors.Add(OptimizerName, tensor(state.ToArray()));
        var metadata = new Dictionary<string, string>
        {
            [StepName] = position.Step.ToString(CultureInfo.InvariantCulture),
            [SecondsName] = position.Elapsed.TotalSeconds.ToString("f3", CultureInfo.InvariantCulture),
        };
        WholeFile.Write(path, stream => SafetensorsWriter.Write(stream, tensors, metadata));
    }

    /// <summary>Restores weights and optimizer in place.</summary>
    /// <exception cref="InvalidDataException">The file is not a checkpoint of this shape.</exception>
    public static RunPosition Load(string path, IReadOnlyDictionary<string, Tensor> values, AdamW optimizer)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (
            !file.Metadata.TryGetValue(StepName, out string? step)
            || !file.Metadata.TryGetValue(SecondsName, out string? seconds)
            || !file.Entries.ContainsKey(OptimizerName)
        )
            throw new InvalidDataException($"'{path}' is not a checkpoint of this program: choose another file for --checkpoint.");
        foreach (var (name, value) in values)
        {
            if (!file.Entries.TryGetValue(name, out TensorEntry? entry) || !entry.Shape.SequenceEqual(value.shape))
                throw new InvalidDataException(
                    $"The checkpoint '{path}' has a different shape at '{name}': use the options it was started with, or another file."
                );
            value.copy_(file.Read(name));
        }
        using var reader = new BinaryReader(new MemoryStream(file.Read(OptimizerName).bytes.ToArray()));
        optimizer.load_state_dict(reader);
        return new RunPosition(
            long.Parse(step, CultureInfo.InvariantCulture),
            TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture))
        );
    }
}
