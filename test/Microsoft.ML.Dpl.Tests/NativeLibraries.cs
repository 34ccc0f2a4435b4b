using System.Runtime.CompilerServices;
using Microsoft.ML.Dpl.OnnxRuntime;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests;

internal static class NativeLibraries
{
    /// <summary>Loads the native libraries at start, as tests create tensors and sessions before any product code runs.</summary>
    [ModuleInitializer]
    internal static void Load()
    {
        LibTorch.EnsureLoaded();
        OnnxNative.EnsureStarted();
    }
}
