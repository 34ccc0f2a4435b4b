using System.Diagnostics;
using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>Runs the built command as a person would.</summary>
internal static class ToolProcess
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public sealed record Outcome(int ExitCode, string Output, string Error)
    {
        public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        public Outcome Expect(int code)
        {
            Assert.True(ExitCode == code, $"exit code {ExitCode} instead of {code}\n{Output}\n{Error}");
            return this;
        }
    }

    /// <summary>The command's assembly, built beside this test.</summary>
    public static string Program { get; }
        = Path.Combine(SharedData.RepositoryRoot, "src", "Microsoft.ML.Dpl.Tool", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "dpl.dll");

    public static Task<Outcome> Run(params string[] arguments) => Run(input: null, arguments);

    /// <param name="input">The standard input; null: empty.</param>
    /// <param name="arguments">The command line.</param>
    public static async Task<Outcome> Run(string? input, string[] arguments)
    {
        using Process process = Start(arguments);
        using var limit = new CancellationTokenSource(Limit);
        Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token), error = process.StandardError.ReadToEndAsync(limit.Token);
        try
        {
            if (input is not null) await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            return new Outcome(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    /// <summary>Starts the command; the caller reads, waits and disposes.</summary>
    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Program, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (string variable in new[] { "DPL_CLIP", "DPL_LIBTORCH" }) start.Environment.Remove(variable);
        return Process.Start(start)!;
    }
}
