using System.Diagnostics;
using System.Globalization;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The most memory that a process held which takes a few steps of one form and nothing else: the peak resident set, weights and runtime included.</summary>
internal static class PeakMemory
{
    /// <summary>Name of the verb that the measured process is started with.</summary>
    public const string Verb = "memory";

    private const int Steps = 2;

    /// <returns>Bytes.</returns>
    public static long OfStep(StepSize size, string form, bool workers, bool tuneAllocator)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        // Under `dotnet x.dll` the process is dotnet itself.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet") start.ArgumentList.Add(typeof(PeakMemory).Assembly.Location);
        string[] arguments =
        [
            Verb, "--form", form, "--shape", size.Shape, "--classes", Text(size.Classes), "--batch", Text(size.Batch), "--candidates", .. size.Candidates.Select(Text),
            "--threads", Text(get_num_threads()), .. workers ? Array.Empty<string>() : ["--no-workers"], .. tuneAllocator ? Array.Empty<string>() : ["--plain-allocator"],
        ];
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"Measuring the memory of '{form}' ended with code {process.ExitCode}: {output}");
        return long.Parse(output.Trim(), CultureInfo.InvariantCulture);
    }

    /// <summary>What the measured process does.</summary>
    public static void Measure(StepSize size, string form, bool workers, bool tuneAllocator)
    {
        if (tuneAllocator) Runtime.NativeAllocator.KeepFreedMemory();
        using var models = new StepModels(size, workers);
        Action step = form switch
        {
            "search" => () =>
            {
                models.AlphaHalf();
                models.PromptHalf();
            }
            ,
            "training" => models.Training,
            "naive-search" => models.NaiveSearchHalf,
            "naive-training" => models.NaiveTraining,
            _ => throw new ArgumentException($"'{form}' is no form of a step."),
        };
        for (int i = 0; i < Steps; i++) step();
        using Process self = Process.GetCurrentProcess();
        Console.WriteLine(self.PeakWorkingSet64.ToString(CultureInfo.InvariantCulture));
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
