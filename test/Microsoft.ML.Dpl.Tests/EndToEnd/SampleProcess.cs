using System.Diagnostics;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Runs a built sample as a user would.</summary>
internal static class SampleProcess
{
    public sealed record Outcome(int ExitCode, string Output, string Error);

    /// <param name="sample">The sample's folder under samples/.</param>
    /// <param name="environment">Environment variables for the process.</param>
    /// <param name="arguments">The command-line arguments.</param>
    public static Task<Outcome> Run(string sample, IReadOnlyDictionary<string, string?> environment, params string[] arguments) =>
        Start(ProgramOf(sample), environment, arguments);

    /// <summary>The path of the sample's assembly, which is built along with these tests.</summary>
    public static string ProgramOf(string sample) =>
        Path.Combine(
            SharedData.RepositoryRoot,
            "samples",
            sample,
            "bin",
            new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name,
            "net10.0",
            sample + ".dll"
        );

    /// <param name="program">The path of an application's assembly.</param>
    /// <param name="environment">Environment variables for the process.</param>
    /// <param name="arguments">The command-line arguments.</param>
    public static Task<Outcome> Start(string program, IReadOnlyDictionary<string, string?> environment, params string[] arguments) =>
        StartProgram("dotnet", environment, [program, .. arguments]);

    /// <param name="program">The executable.</param>
    /// <param name="environment">Environment variables for the process.</param>
    /// <param name="arguments">The command-line arguments.</param>
    public static async Task<Outcome> StartProgram(
        string program,
        IReadOnlyDictionary<string, string?> environment,
        params string[] arguments
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(),
            error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} ran longer than five minutes.");
        }
        return new Outcome(process.ExitCode, await output, await error);
    }
}
