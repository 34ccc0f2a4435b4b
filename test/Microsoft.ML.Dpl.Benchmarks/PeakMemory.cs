using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>The peak memory of a process that only takes a few steps of one form, including the weights: on a CPU the peak resident set,
/// including the runtime; on a GPU the device memory allocated after its context was created.</summary>
internal static class PeakMemory
{
    /// <summary>The verb with which the measured process is started.</summary>
    public const string Verb = "memory";

    private const int Steps = 2;

    /// <returns>The peak memory in bytes.</returns>
    public static long MeasureStep(StepSize size, string form, bool workers, bool tuneAllocator, ComputePrecision precision, Device device)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        // Under `dotnet x.dll` the process is dotnet itself.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet")
            start.ArgumentList.Add(typeof(PeakMemory).Assembly.Location);
        string[] arguments =
        [
            Verb,
            "--form",
            form,
            "--shape",
            size.Shape,
            "--classes",
            Text(size.Classes),
            "--batch",
            Text(size.Batch),
            "--candidates",
            .. size.Candidates.Select(Text),
            "--threads",
            Text(get_num_threads()),
            "--precision",
            precision.ToString(),
            "--device",
            device.ToString(),
            .. workers ? Array.Empty<string>() : ["--no-workers"],
            .. tuneAllocator ? Array.Empty<string>() : ["--plain-allocator"],
        ];
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"Measuring the memory of '{form}' ended with code {process.ExitCode}: {output}");
        return long.Parse(output.Trim(), CultureInfo.InvariantCulture);
    }

    /// <summary>Runs in the measured process.</summary>
    public static void Measure(StepSize size, string form, bool workers, bool tuneAllocator, ComputePrecision precision, Device device)
    {
        if (tuneAllocator)
            NativeAllocator.KeepFreedMemory();
        bool onGpu = device.type == TorchSharp.DeviceType.CUDA;
        // Creates the context.
        if (onGpu)
            zeros(1, device: device).Dispose();
        long free = onGpu ? FreeOfGpu() : 0;
        using var models = new StepModels(size, workers, precision: precision, device: device);
        Action step = form switch
        {
            "search" => () =>
            {
                models.AlphaHalf();
                models.PromptHalf();
            },
            "training" => models.Training,
            "naive-search" => models.NaiveSearchHalf,
            "naive-training" => models.NaiveTraining,
            _ => throw new ArgumentException($"'{form}' is not a form of a step."),
        };
        for (int i = 0; i < Steps; i++)
            step();
        if (onGpu)
            cuda.synchronize(device);
        using Process self = Process.GetCurrentProcess();
        // libtorch does not return GPU memory, so the use at the end is the peak.
        Console.WriteLine((onGpu ? free - FreeOfGpu() : self.PeakWorkingSet64).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>The free bytes of the calling thread's GPU, read from its driver because TorchSharp has no method for it.</summary>
    private static unsafe long FreeOfGpu()
    {
        nint driver = NativeLibrary.Load(OperatingSystem.IsWindows() ? "nvcuda" : "libcuda.so.1");
        nuint free,
            total;
        int code = ((delegate* unmanaged<nuint*, nuint*, int>)NativeLibrary.GetExport(driver, "cuMemGetInfo_v2"))(&free, &total);
        return code == 0
            ? (long)free
            : throw new InvalidOperationException($"The GPU's driver does not say how much memory is free: cuMemGetInfo gave {code}.");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
