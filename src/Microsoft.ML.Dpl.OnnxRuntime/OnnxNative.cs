using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>
/// Starts ONNX Runtime. Its official builds send usage events and leave an identifier in the user's cache unless told otherwise before they
/// start (Privacy.md in the package Microsoft.ML.OnnxRuntime), so here they are told.
/// </summary>
internal static class OnnxNative
{
    /// <summary>Environment variable of ONNX Runtime; where the user or the application has set it, it stays as it is.</summary>
    public const string TelemetryVariable = "ORT_DISABLE_TELEMETRY";

    private static readonly Lazy<bool> Started = new(Start);

    /// <summary>Starts it once for the process; to be called before anything else of ONNX Runtime.</summary>
    /// <exception cref="DllNotFoundException">Its native library cannot be loaded; the message says what to do.</exception>
    public static void EnsureStarted() => _ = Started.Value;

    private static bool Start()
    {
        bool isQuiet = Environment.GetEnvironmentVariable(TelemetryVariable) is null;
        if (isQuiet)
        {
            Environment.SetEnvironmentVariable(TelemetryVariable, "1");
            // Elsewhere .NET keeps an environment of its own, which native code does not see.
            if (!OperatingSystem.IsWindows())
                SetNativeVariable(TelemetryVariable, "1", overwrite: 0);
        }
        try
        {
            // What Windows' own tracing is told, the variable does not reach.
            if (isQuiet)
                OrtEnv.Instance().DisableTelemetryEvents();
            else
                _ = OrtEnv.Instance();
        }
        catch (TypeInitializationException e)
        {
            string cause = e.GetBaseException().Message.ReplaceLineEndings(" ").Trim();
            throw new DllNotFoundException(
                $"ONNX Runtime cannot be loaded on {RuntimeInformation.RuntimeIdentifier}: {cause} "
                    + "Reference the package Microsoft.ML.OnnxRuntime in the application itself and publish it for this system, or score "
                    + "by libtorch (dpl predict --engine libtorch).",
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
