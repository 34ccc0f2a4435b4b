using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Dpl.OnnxRuntime;

/// <summary>
/// Keeps ONNX Runtime's official builds from sending usage events and from leaving an identifier in the user's cache, both of which they
/// do unless told otherwise before they start (Privacy.md in the package Microsoft.ML.OnnxRuntime).
/// </summary>
internal static class OnnxTelemetry
{
    /// <summary>Environment variable of ONNX Runtime; where the user or the application has set it, it stays as it is.</summary>
    public const string Variable = "ORT_DISABLE_TELEMETRY";

    private static readonly Lazy<bool> Done = new(TurnOff);

    /// <summary>Turns it off for the process, once; to be called before anything else of ONNX Runtime.</summary>
    public static void EnsureOff() => _ = Done.Value;

    private static bool TurnOff()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not null)
            return false;
        Environment.SetEnvironmentVariable(Variable, "1");
        // Elsewhere .NET keeps an environment of its own, which native code does not see.
        if (!OperatingSystem.IsWindows())
            SetNativeVariable(Variable, "1", overwrite: 0);
        // What Windows' own tracing is told, the variable does not reach.
        OrtEnv.Instance().DisableTelemetryEvents();
        return true;
    }

    [DllImport("libc", EntryPoint = "setenv")]
    private static extern int SetNativeVariable(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string value,
        int overwrite
    );
}
