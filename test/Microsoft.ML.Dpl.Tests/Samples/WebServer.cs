using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The WebApp sample as a process on a free port of this machine; disposing this object ends the process.</summary>
internal sealed class WebServer : IAsyncDisposable
{
    private const string Listening = "Now listening on: ";

    private readonly Process _process;
    private readonly StringBuilder _log = new();
    private readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private WebServer(string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [SampleProcess.ProgramOf("WebApp"), "--urls", "http://127.0.0.1:0", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, line) => Hear(line.Data);
        _process.ErrorDataReceived += (_, line) => Hear(line.Data);
        _process.Exited += (_, _) =>
            _address.TrySetException(new InvalidOperationException("The server ended before it listened:\n" + Log));
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>A client for the server.</summary>
    public HttpClient Client { get; private set; } = null!;

    /// <summary>What the server printed.</summary>
    public string Log
    {
        get
        {
            lock (_log)
                return _log.ToString();
        }
    }

    /// <summary>Starts a server; it may not be ready yet.</summary>
    public static async Task<WebServer> Start(params string[] arguments)
    {
        var server = new WebServer(arguments);
        try
        {
            server.Client = new HttpClient { BaseAddress = await server._address.Task.WaitAsync(TimeSpan.FromMinutes(2)) };
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a server and waits until its model is ready.</summary>
    public static async Task<WebServer> StartReady(params string[] arguments)
    {
        WebServer server = await Start(arguments);
        await server.Ready();
        return server;
    }

    /// <summary>Waits until the model is ready.</summary>
    public async Task Ready()
    {
        for (int tries = 0; (await Health()).Status != "ready"; tries++)
        {
            Assert.True(tries < 3000, "The server never became ready:\n" + Log);
            Assert.False(_process.HasExited, "The server ended:\n" + Log);
            await Task.Delay(100);
        }
    }

    /// <summary>Gets /health.</summary>
    public async Task<ServerHealth> Health()
    {
        using HttpResponseMessage response = await Client.GetAsync("health");
        return (await response.Content.ReadFromJsonAsync<ServerHealth>())!;
    }

    /// <summary>Sends the process SIGTERM, as a container runtime does, and waits for it to exit.</summary>
    /// <returns>The time it took, and the exit code.</returns>
    public async Task<(TimeSpan Took, int ExitCode)> Terminate()
    {
        long began = Stopwatch.GetTimestamp();
        using (Process kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]))
            await kill.WaitForExitAsync();
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
        return (Stopwatch.GetElapsedTime(began), _process.ExitCode);
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_log)
            _log.AppendLine(line);
        if (line.Contains(Listening, StringComparison.Ordinal))
            _address.TrySetResult(new Uri(line[(line.IndexOf(Listening, StringComparison.Ordinal) + Listening.Length)..]));
    }
}

/// <summary>The response of GET /health.</summary>
internal sealed record ServerHealth(
    string Status,
    string? Model,
    int? Classes,
    bool? ApplyExifOrientation,
    double? Progress,
    int Waiting,
    long Images,
    long Batches,
    int MaxUploadBytes
);

/// <summary>The response of POST /predict.</summary>
internal sealed record ServerAnswer(string Class, IReadOnlyList<ServerClass> Classes, ServerHeatMap? HeatMap);

internal sealed record ServerClass(string Name, double Probability);

internal sealed record ServerHeatMap(string Class, int Rows, int Columns, float[] Relevance, string Image);
