using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fit;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>This assembly as a process of its own: fits, says a line for every step, writes the model and its scores, so that a test can
/// kill it in the middle or take the disk away from it.</summary>
internal static class FitHost
{
    /// <summary>In place of a workspace: none.</summary>
    public const string NoWorkspace = "-";

    /// <summary>File with the scores of the training rows, beside the zip: 32-bit floats.</summary>
    public static string ScoresOf(string zip) => zip + ".scores";

    /// <param name="arguments">
    /// Folder of the CLIP, table of path and label, workspace, zip to write; then, where wanted, <c>minutes=M</c> (longest time between
    /// checkpoints), <c>fill=A-B</c> (the workspace's disk is full from step A to step B, counted from 1), <c>threads=N</c> (of libtorch;
    /// more than there are cores, too, which OMP_NUM_THREADS does not give), <c>pause=N</c> (goes no further than step N), <c>die=N</c>
    /// (the process ends itself by SIGKILL after step N) and <c>save=whole</c> (with the library's own <c>SaveWhole</c>).
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

    /// <summary>Writes until the disk takes nothing more.</summary>
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
                // Full, for blocks of this size: what this is for.
            }
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);
}
