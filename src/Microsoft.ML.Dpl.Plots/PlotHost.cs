using System.Reflection;
using System.Runtime.Loader;
using System.Text.Json;

namespace Microsoft.ML.Dpl.Plots;

/// <summary>Draws plots with ScottPlot in a separate load context, because ScottPlot needs SkiaSharp 3, while ML.NET in the same process
/// needs SkiaSharp 2. Thread-safe.</summary>
internal static class PlotHost
{
    private static readonly Lazy<Func<string, string>> Drawing = new(Load);

    /// <summary>Draws a plot.</summary>
    /// <returns>An <c>svg</c> element as text.</returns>
    /// <exception cref="FileNotFoundException">The folder plots/ is missing in the application's folder.</exception>
    public static string Svg(PlotImage image) => Drawing.Value(JsonSerializer.Serialize(image, JsonForm.Options));

    private static Func<string, string> Load()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "plots", "Microsoft.ML.Dpl.Plots.dll");
        if (!File.Exists(path))
            throw new FileNotFoundException(
                $"'{path}' is missing, so no plot can be drawn. Install the application again, with its folder plots.",
                path
            );
        Assembly assembly = new PlotContext(path).LoadFromAssemblyPath(path);
        MethodInfo method = assembly.GetType("Microsoft.ML.Dpl.Plots.PlotDrawing", throwOnError: true)!.GetMethod("Svg", [typeof(string)])!;
        return method.CreateDelegate<Func<string, string>>();
    }

    /// <summary>Loads assemblies and native libraries from the folder of one assembly, and from the application only if they are not
    /// there.</summary>
    private sealed class PlotContext(string path) : AssemblyLoadContext("plots")
    {
        private readonly AssemblyDependencyResolver _resolver = new(path);

        protected override Assembly? Load(AssemblyName name) =>
            _resolver.ResolveAssemblyToPath(name) is string found ? LoadFromAssemblyPath(found) : null;

        protected override nint LoadUnmanagedDll(string name) =>
            _resolver.ResolveUnmanagedDllToPath(name) is string found ? LoadUnmanagedDllFromPath(found) : 0;
    }
}
