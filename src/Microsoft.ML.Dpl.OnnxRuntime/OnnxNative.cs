using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>
/// Starts ONNX Runtime. Its official builds send usage events and store an identifier in the user's cache unless telemetry is disabled
/// before they start (Privacy.md in the package Microsoft.ML.OnnxRuntime), so telemetry is disabled here.
/// </summary>
internal static class OnnxNative
{
    /// <summary>The environment variable of ONNX Runtime that disables telemetry; not changed if the user or the application has set
    /// it.</summary>
    public const string TelemetryVariable = "ORT_DISABLE_TELEMETRY";

    private static readonly Lazy<bool> Started = new(Start);

    /// <summary>Starts ONNX Runtime once per process; must be called before anything else of ONNX Runtime.</summary>
    /// <exception cref="DllNotFoundException">The native library cannot be loaded; the message says what to do.</exception>
    public static void EnsureStarted() => _ = Started.Value;

    private static bool Start()
    {
        bool isQuiet = Environment.GetEnvironmentVariable(TelemetryVariable) is null;
        if (isQuiet)
        {
            Environment.SetEnvironmentVariable(TelemetryVariable, "1");
            // Except on Windows, .NET has its own copy of the environment, which native code does not see.
            if (!OperatingSystem.IsWindows())
                SetNativeVariable(TelemetryVariable, "1", overwrite: 0);
        }
        try
        {
            // The variable does not affect event tracing on Windows, which must be disabled separately.
            if (isQuiet)
                OrtEnv.Instance().DisableTelemetryEvents();
            else
                _ = OrtEnv.Instance();
        }
        catch (TypeInitializationException e)
        {
            string cause = e.GetBaseException().Message.ReplaceLineEndings(" ").Trim();
            throw new DllNotFoundException(
                $"ONNX Runtime cannot be loaded on {RuntimeInformation.RuntimeIdentifier}: {cause} Reference the package "
                    + "Microsoft.ML.OnnxRuntime in the application itself and publish it for this system, or score with libtorch (dpl "
                    + "predict --engine libtorch).",
                e
            );
        }
        return true;
    }

    [DllImport("libc", EntryPoint = "setenv")]
    private static extern int SetNativeVariable(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string value,
        int overwrite
    );
}
