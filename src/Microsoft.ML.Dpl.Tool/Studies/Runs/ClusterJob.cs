using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Studies.Runs;

/// <summary>A study as a job of a cluster's scheduler: each task does one shard, chosen by environment variables that the scheduler
/// sets.</summary>
/// <param name="Plan">Full path of the plan, the same on every machine.</param>
/// <param name="Folder">Full path of the results' folder, the same on every machine.</param>
/// <param name="Tasks">Number of tasks, at least 1.</param>
/// <param name="Threads">Number of threads of a run; a task does one run at a time.</param>
internal sealed record ClusterJob(string Plan, string Folder, int Tasks, int Threads)
{
    /// <summary>Names of the scripts in the folder of results.</summary>
    public const string ArrayScript = "study.sbatch",
        TableScript = "table.sbatch";

    private const string LastRestart = "3";

    /// <summary>Full path of the known data sets' folder, the same on every machine; null: taken from the plan.</summary>
    public string? Data { get; init; }

    private IEnumerable<string> Words =>
        ["study", Plan, "--output", Folder, .. Data is null ? [] : new[] { "--data", Data }, "--jobs", "1", "--progress", "lines"];

    /// <summary>The script of the job array. A task that was ended by a signal is requeued and resumes.</summary>
    /// <param name="options">Further options for sbatch, such as --partition=gpu.</param>
    public string SlurmArray(IEnumerable<string> options) =>
        Script(
            [
                string.Create(CultureInfo.InvariantCulture, $"--array=0-{Tasks - 1}"),
                string.Create(CultureInfo.InvariantCulture, $"--cpus-per-task={Threads}"),
                Log("slurm-%A_%a.log"),
                // A requeued task keeps its earlier log.
                "--open-mode=append",
                "--requeue",
                .. options,
            ],
            $"""
            {Command(Words)}
            code=$?
            if [ $code -gt 130 ] && [ "${"{SLURM_RESTART_COUNT:-0}"}" -lt {LastRestart} ]; then
              scontrol requeue "$SLURM_JOB_ID"
              sleep 60
            fi
            exit $code
            """
        );

    /// <summary>The script of the job that makes the table when all tasks have ended, successfully or not.</summary>
    /// <param name="options">Further options for sbatch.</param>
    public string SlurmTable(IEnumerable<string> options) =>
        Script([Log("slurm-table.log"), .. options], Command("study", "table", Folder, "--output", $"{Folder}/table.md"));

    /// <summary>The manifest of an Indexed Job for kubectl create.</summary>
    /// <param name="image">A container image with this command on its path.</param>
    /// <param name="claim">The claim of the volume with plan, data and results.</param>
    /// <param name="mount">Where the volume is mounted, the folder that the plan's paths start with.</param>
    public string Kubernetes(string image, string claim, string mount)
    {
        string number = Tasks.ToString(CultureInfo.InvariantCulture);
        string command = string.Join(", ", Words.Prepend("dpl").Select(Quoted));
        return $"""
            apiVersion: batch/v1
            kind: Job
            metadata:
              generateName: dpl-study-
            spec:
              completionMode: Indexed
              completions: {number}
              parallelism: {number}
              backoffLimit: {number}
              template:
                spec:
                  restartPolicy: OnFailure
                  containers:
                    - name: dpl
                      image: {Quoted(image)}
                      command: [{command}]
                      env:
                        - name: JOB_COMPLETIONS
                          value: "{number}"
                      resources:
                        requests:
                          cpu: "{Threads.ToString(CultureInfo.InvariantCulture)}"
                      volumeMounts:
                        - name: study
                          mountPath: {Quoted(mount)}
                  volumes:
                    - name: study
                      persistentVolumeClaim:
                        claimName: {Quoted(claim)}

            """;

        // JSON strings are valid YAML.
        static string Quoted(string text) => JsonSerializer.Serialize(text);
    }

    private static string Script(IEnumerable<string> options, string body)
    {
        var text = new StringBuilder("#!/bin/bash\n#SBATCH --job-name=dpl-study\n");
        foreach (string option in options)
            text.Append(CultureInfo.InvariantCulture, $"#SBATCH {option}\n");
        return text.Append(body).Append('\n').ToString();
    }

    /// <summary>Returns the option for a log file, whose path may contain spaces: sbatch interprets quotes and backslashes, and reads %% as
    /// a percent sign.</summary>
    /// <param name="name">Name of the file; its percent signs are sbatch's placeholders.</param>
    private string Log(string name)
    {
        string folder = Folder
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("%", "%%", StringComparison.Ordinal);
        return $"--output=\"{folder}/{name}\"";
    }

    /// <summary>Returns a shell command line that runs this program.</summary>
    private static string Command(params IEnumerable<string> words)
    {
        string program = Environment.ProcessPath!;
        IEnumerable<string> all =
            Path.GetFileNameWithoutExtension(program) == "dotnet"
                ? [program, Assembly.GetExecutingAssembly().Location, .. words]
                : [program, .. words];
        return string.Join(' ', all.Select(word => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'"));
    }
}
