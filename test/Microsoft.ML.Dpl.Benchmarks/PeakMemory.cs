using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>
/// The most memory that a process held which takes a few steps of one form and nothing else, weights included: on a CPU the peak resident
/// set, runtime and all; on a GPU what it took of that one's memory once it had a context there.
/// </summary>
internal static class PeakMemory
{
    /// <summary>Name of the verb that the measured process is started with.</summary>
    public const string Verb = "memory";

    private const int Steps = 2;

    /// <returns>Bytes.</returns>
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

    /// <summary>What the measured process does.</summary>
    public static void Measure(StepSize size, string form, bool workers, bool tuneAllocator, ComputePrecision precision, Device device)
    {
        if (tuneAllocator)
            NativeAllocator.KeepFreedMemory();
        bool onGpu = device.type == TorchSharp.DeviceType.CUDA;
        // Makes the context.
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
            _ => throw new ArgumentException($"'{form}' is no form of a step."),
        };
        for (int i = 0; i < Steps; i++)
            step();
        if (onGpu)
            cuda.synchronize(device);
        using Process self = Process.GetCurrentProcess();
        // libtorch keeps what it has taken of a GPU's memory, so that the end is the peak.
        Console.WriteLine((onGpu ? free - FreeOfGpu() : self.PeakWorkingSet64).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Free bytes of the calling thread's GPU, from its driver: TorchSharp does not ask it.</summary>
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
