using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>The folder with one file for each completed run, and a copy of the plan.</summary>
/// <param name="path">Path of the folder, which need not exist.</param>
internal sealed class StudyFolder(string path)
{
    /// <summary>Name of the copy of the plan, from which the table takes the order of the methods and the missing runs.</summary>
    public const string PlanFile = "plan.json";

    /// <summary>Path of a run's file.</summary>
    public string FileOf(StudyRun run) => Path.Combine(path, run.FileName.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>Returns the result of a run; null if the run has still to be done, which includes an unreadable file.</summary>
    /// <param name="run">The run.</param>
    /// <param name="settings">The settings with which it would be run now.</param>
    /// <exception cref="InvalidDataException">It was run with another method or other settings.</exception>
    public RunResult? Find(StudyRun run, RunSettings settings)
    {
        string file = FileOf(run);
        if (!File.Exists(file))
            return null;
        if (RunResult.TryRead(file) is not { } result)
        {
            Terminal.Warn($"'{file}' cannot be read as the result of a run, so the run is repeated.");
            return null;
        }
        return settings.Difference(run.Method.Text, result.Text, result.Settings) is { } difference
            ? throw new InvalidDataException($"'{file}' was made with {difference}. Name another folder with --output, or remove the file.")
            : result;
    }

    /// <summary>Writes the result of a run atomically.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(StudyRun run, RunResult result) => Write(FileOf(run), result.ToJson());

    /// <summary>Writes a copy of the plan.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
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
