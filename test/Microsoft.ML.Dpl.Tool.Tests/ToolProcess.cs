using System.Diagnostics;
using Microsoft.ML.Dpl.Tests;

namespace Microsoft.ML.Dpl.Tool.Tests;

/// <summary>Runs the built command as a user would.</summary>
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
    public static string Program { get; } =
        Path.Combine(
            SharedData.RepositoryRoot,
            "src",
            "Microsoft.ML.Dpl.Tool",
            "bin",
            new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name,
            "net10.0",
            "dpl.dll"
        );

    public static Task<Outcome> Run(params string[] arguments) => Run(input: null, arguments);

    /// <param name="input">The standard input; null: empty.</param>
    /// <param name="arguments">The command line.</param>
    /// <param name="environment">Environment variables to set.</param>
    public static async Task<Outcome> Run(string? input, string[] arguments, params (string Name, string Value)[] environment)
    {
        using Process process = Start(arguments, environment);
        return await End(process, input);
    }

    private static async Task<Outcome> End(Process process, string? input)
    {
        using var limit = new CancellationTokenSource(Limit);
        Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token),
            error = process.StandardError.ReadToEndAsync(limit.Token);
        try
        {
            if (input is not null)
                await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            return new Outcome(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    /// <summary>Starts the command; the caller reads its output, waits for it and disposes it.</summary>
    public static Process Start(params string[] arguments) => Start(arguments, []);

    /// <param name="arguments">The command line.</param>
    /// <param name="environment">Environment variables to set.</param>
    public static Process Start(string[] arguments, (string Name, string Value)[] environment) =>
        StartProgram("dotnet", [Program, .. arguments], environment);

    /// <summary>Runs a program that runs the command, such as a shell.</summary>
    public static async Task<Outcome> RunProgram(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        using Process process = StartProgram(program, arguments, environment);
        return await End(process, input: null);
    }

    private static Process StartProgram(string program, string[] arguments, (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string variable in new[] { "DPL_CLIP", "DPL_LIBTORCH" })
            start.Environment.Remove(variable);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
