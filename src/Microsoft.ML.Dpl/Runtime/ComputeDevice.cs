using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Chooses the device of tensors: <c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>.</summary>
internal static class ComputeDevice
{
    /// <param name="requested"><c>null</c> or empty: the GPU set on the <c>MLContext</c>, otherwise the CPU. Or one of <c>cpu</c>,
    /// <c>cuda</c> and <c>cuda:n</c>.</param>
    /// <param name="gpuDeviceId">The ordinal set on the <c>MLContext</c>, if any.</param>
    /// <param name="fallbackToCpu">Whether to use the CPU if the requested GPU is missing.</param>
    /// <param name="log">Receives the choice, as one sentence.</param>
    /// <param name="warn">Receives it instead if the device is not the requested one.</param>
    /// <param name="parameter">The caller's name for <paramref name="requested"/>.</param>
    /// <exception cref="ArgumentException"><paramref name="requested"/> is not one of these names.</exception>
    /// <exception cref="InvalidOperationException">The GPU is missing and <paramref name="fallbackToCpu"/> is false.</exception>
    public static Device Choose(
        string? requested,
        int? gpuDeviceId,
        bool fallbackToCpu,
        Action<string> log,
        Action<string> warn,
        string parameter = "device"
    )
    {
        int? ordinal = ParseOrdinal(requested, gpuDeviceId, parameter);
        string native = LibTorch.EnsureLoaded();
        if (ordinal is null)
        {
            log($"Device: cpu, {get_num_threads()} threads; {native}.");
            return CPU;
        }

        string? missing = WhyMissing(ordinal.Value);
        if (missing is null)
        {
            log($"Device: cuda:{ordinal}; {native}.");
            return new Device(DeviceType.CUDA, ordinal.Value);
        }
        if (!fallbackToCpu)
            throw new InvalidOperationException(
                $"Device cuda:{ordinal} was requested, but {missing}. Use the cpu, or allow FallbackToCpu."
            );
        warn(
            $"Device: cpu, {get_num_threads()} threads, because {missing} (cuda:{ordinal} was requested and FallbackToCpu is allowed); "
                + $"{native}."
        );
        return CPU;
    }

    /// <summary>A key that is the same for equal devices: <c>cuda</c> and <c>cuda:0</c> are equal, and so are all CPU devices.</summary>
    /// <returns>The type, and the ordinal from 0; 0 for the CPU.</returns>
    public static (DeviceType Type, int Ordinal) KeyOf(Device device) =>
        (device.type, device.type == DeviceType.CPU ? 0 : Math.Max(0, device.index));

    /// <summary>Checks the name of a device, without checking whether the device exists.</summary>
    /// <exception cref="ArgumentException"><paramref name="requested"/> is neither empty nor <c>cpu</c>, <c>cuda</c> or
    /// <c>cuda:n</c>.</exception>
    public static void Check(string? requested, [CallerArgumentExpression(nameof(requested))] string parameter = "") =>
        ParseOrdinal(requested, gpuDeviceId: null, parameter);

    private static int? ParseOrdinal(string? requested, int? gpuDeviceId, string parameter)
    {
        if (string.IsNullOrWhiteSpace(requested))
            return gpuDeviceId;
        return DeviceName.TryParse(requested, unnumbered: gpuDeviceId ?? 0, out int? ordinal)
            ? ordinal
            : throw new ArgumentException($"{parameter} '{requested}' is unknown: use {DeviceName.Choices}.", parameter);
    }

    private static string? WhyMissing(int ordinal)
    {
        if (!cuda.is_available())
            return "libtorch has no usable CUDA backend here (add the package TorchSharp-cuda-linux or TorchSharp-cuda-windows "
                + "instead of libtorch-cpu, and check the NVIDIA driver)";
        int count = cuda.device_count();
        return ordinal < count ? null : $"there are only {count} CUDA devices, numbered from 0";
    }
}
