using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The entry point that runs this assembly as a separate process: it fits a model, prints a line for every step, and writes the
/// model and its scores, so that a test can kill it or fill its disk during the fit.</summary>
internal static class FitHost
{
    /// <summary>Given instead of a workspace path: no workspace.</summary>
    public const string NoWorkspace = "-";

    /// <summary>The file next to the zip that holds the scores of the training rows as 32-bit floats.</summary>
    public static string ScoresOf(string zip) => zip + ".scores";

    /// <param name="arguments">
    /// Folder of the CLIP, table of paths and labels, workspace, zip to write; then, optionally, <c>minutes=M</c> (longest time between
    /// checkpoints), <c>fill=A-B</c> (the workspace's disk is full from step A to step B, counted from 1), <c>threads=N</c> (libtorch's
    /// threads; unlike with OMP_NUM_THREADS they may outnumber the cores), <c>pause=N</c> (the fit hangs at step N), <c>die=N</c> (the
    /// process kills itself with SIGKILL after step N) and <c>save=whole</c> (saves with the library's own <c>SaveWhole</c>).
    /// </param>
    public static void Main(string[] arguments)
    {
        if (arguments is not [string clip, string table, string workspace, string zip, ..])
            throw new ArgumentException("Arguments: CLIP folder, table, workspace, zip.");
        var more = arguments.Skip(4).Select(argument => argument.Split('=')).ToDictionary(parts => parts[0], parts => parts[1]);
        if (more.TryGetValue("threads", out string? threads))
            LibTorchRuntime.Threads = Number(threads);
        var mlContext = new MLContext(1);
        mlContext.Log += (_, e) =>
        {
            if (e.Kind is ChannelMessageKind.Warning or ChannelMessageKind.Error)
                Console.Error.WriteLine(e.Message);
        };
        LabelledImage[] rows =
        [
            .. File.ReadLines(table)
                .Select(line => line.Split('\t'))
                .Select(parts => new LabelledImage { ImagePath = parts[0], Label = parts[1] }),
        ];
        DplTrainer.Options options = ResumableFit.Options(ClipBackbone.Open(clip), workspace == NoWorkspace ? null : workspace);
        if (more.TryGetValue("minutes", out string? minutes))
            options.Compute.CheckpointInterval = TimeSpan.FromMinutes(double.Parse(minutes, CultureInfo.InvariantCulture));
        int[] full = more.TryGetValue("fill", out string? fill) ? [.. fill.Split('-').Select(Number)] : [];
        int last = more.TryGetValue("die", out string? die) ? Number(die) : 0,
            pause = more.TryGetValue("pause", out string? halt) ? Number(halt) : 0,
            step = 0;
        options.Progress = new ProgressRecorder(report =>
        {
            step++;
            Console.WriteLine(report);
            Console.Out.Flush();
            if (full is [int from, int to])
            {
                if (step == from)
                    Fill(workspace);
                if (step == to)
                    File.Delete(Filler(workspace));
            }
            if (step == pause)
                Thread.Sleep(Timeout.Infinite);
            if (step == last)
                _ = Kill(Environment.ProcessId, 9);
        });
        using DplTransformer transformer = ResumableFit.Fit(mlContext, options, rows);
        IDataView data = mlContext.Data.LoadFromEnumerable(rows);
        if (more.ContainsKey("save"))
            mlContext.Model.SaveWhole(transformer, data.Schema, zip);
        else
            mlContext.Model.Save(transformer, data.Schema, zip);
        File.WriteAllBytes(
            ScoresOf(zip),
            MemoryMarshal
                .AsBytes<float>(transformer.Transform(data).GetColumn<float[]>("Score").SelectMany(scores => scores).ToArray())
                .ToArray()
        );
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string Filler(string folder) => Path.Combine(folder, "filler");

    /// <summary>Writes until the disk is full.</summary>
    private static void Fill(string folder)
    {
        using var filler = new FileStream(Filler(folder), FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1);
        foreach (int size in (int[])[1 << 16, 1])
        {
            byte[] block = new byte[size];
            try
            {
                while (true)
                    filler.Write(block);
            }
            catch (IOException)
            {
                // Expected: the disk is full for blocks of this size.
            }
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
