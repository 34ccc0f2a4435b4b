using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>The folder with one file for each run that ended, and a copy of the plan.</summary>
/// <param name="path">Need not be there.</param>
internal sealed class StudyFolder(string path)
{
    /// <summary>The copy of the plan, by which the table knows the order of methods and what is missing.</summary>
    public const string PlanFile = "plan.json";

    /// <summary>The file of a run.</summary>
    public string FileOf(StudyRun run) => Path.Combine(path, run.FileName.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>What is there of a run; null where it is still to be done, also because its file cannot be read.</summary>
    /// <param name="run">The run.</param>
    /// <param name="settings">With which it would be run now.</param>
    /// <exception cref="InvalidDataException">It was run in another way.</exception>
    public RunResult? Find(StudyRun run, RunSettings settings)
    {
        string file = FileOf(run);
        if (!File.Exists(file))
            return null;
        if (RunResult.TryRead(file) is not { } result)
        {
            Terminal.Warn($"'{file}' cannot be read as the result of a run, so the run is done again.");
            return null;
        }
        return settings.Difference(run.Method.Text, result.Text, result.Settings) is { } difference
            ? throw new InvalidDataException($"'{file}' was made with {difference}. Name another folder with --output, or remove the file.")
            : result;
    }

    /// <summary>Keeps a run, whole or not at all.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(StudyRun run, RunResult result) => Write(FileOf(run), result.ToJson());

    /// <summary>Keeps a copy of the plan.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Write(StudyPlan plan)
    {
        byte[] text = File.ReadAllBytes(plan.File);
        string copy = Path.Combine(path, PlanFile);
        if (Path.GetFullPath(plan.File) != Path.GetFullPath(copy) && !(File.Exists(copy) && File.ReadAllBytes(copy).SequenceEqual(text)))
            Write(copy, text);
    }

    private static void Write(string file, byte[] content) =>
        OutputFile.Check(file, "--output").Write(unfinished => File.WriteAllBytes(unfinished, content));
}
