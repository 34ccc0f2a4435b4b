using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The sections about the run: command and options, images, time and memory, versions.</summary>
internal static class RunSections
{
    // This many thumbnails add about a megabyte to the page.
    private const int MostSamples = 400,
        SampleSide = 96,
        SamplesPerClass = 4;

    public static Section Asked(FitResults results)
    {
        AskedResults asked = results.Asked;
        return new Section(
            "asked",
            "What was asked",
            Markup.Format(
                $"""
                <p>This command repeats the run{(asked.WorkingFolder is null ? "" : " in ")}{(
                    asked.WorkingFolder is string folder ? Markup.Format($"<code>{folder}</code>") : Markup.Empty
                )}:</p>
                <pre><code>{asked.CommandLine}</code></pre>
                {(results.ModelPath is string model ? Markup.Format($"<p>The model is in <code>{model}</code>.</p>") : Markup.Empty)}
                <details><summary>All {asked.Options.Count} options</summary><div class="wide">{Pairs(
                    asked.Options.Select(option => (option.Name, option.Value.Length > 0 ? option.Value : "–"))
                )}</div></details>
                """
            )
        );
    }

    /// <param name="results">The results of a fit.</param>
    /// <param name="locate">Turns an image's path into one that can be opened.</param>
    /// <param name="applyExif">Whether images are rotated and mirrored according to their EXIF orientation.</param>
    public static Section Data(FitResults results, Func<string, string> locate, bool applyExif)
    {
        const string id = "data",
            title = "Images";
        if (results.Data is not { Classes.Count: > 0 } data)
            return Section.Missing(id, title, "The results do not list the images.");
        int samples = Math.Clamp(MostSamples / data.Classes.Count, 1, SamplesPerClass);
        Markup head = Markup.Join(data.Splits.Select(split => Markup.Format($"""<th scope="col" class="number">{split.Name}</th>""")));
        Markup sources = Markup.Join(data.Splits.Select(split => Markup.Format($"<li>{split.Name}: <code>{split.Source}</code></li>")));
        Markup rows = Markup.Join(
            data.Classes.Select(
                (shown, i) =>
                    Markup.Format(
                        $"""
                        <tr><th scope="row">{shown.Name}</th>{Markup.Join(
                            shown.Counts.Select(count => Markup.Format($"""<td class="number">{count}</td>"""))
                        )}<td class="samples">{(i < MostSamples ? Samples(shown, samples, locate, applyExif) : Markup.Empty)}</td></tr>
                        """
                    )
            )
        );
        Markup sum = Markup.Join(
            data.Splits.Select(
                (_, i) => Markup.Format($"""<td class="number">{data.Classes.Sum(c => c.Counts.ElementAtOrDefault(i))}</td>""")
            )
        );
        Markup note =
            data.Classes.Count > MostSamples
                ? Markup.Format($"<p>The first {MostSamples} classes are shown with images.</p>")
                : Markup.Empty;
        Markup setAside = data.SetAside is string sentence ? Markup.Format($"<p>{sentence}</p>") : Markup.Empty;
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <ul class="plain">{sources}</ul>{setAside}{note}
                <div class="wide tall"><table><thead><tr><th scope="col">class</th>{head}<th scope="col">samples of training</th></tr></thead><tbody>{rows}</tbody><tfoot><tr><th scope="row">all {data.Classes.Count}</th>{sum}<td></td></tr></tfoot></table></div>
                """
            )
        );
    }

    public static Section Cost(FitResults results)
    {
        const string id = "cost",
            title = "Time and memory";
        if (results.Stages.Count == 0)
            return Section.Missing(id, title, "No stage was timed.");
        double total = results.Stages.Sum(stage => stage.Seconds),
            longest = results.Stages.Select(stage => stage.Seconds).Concat(results.Comparison.Select(row => row.Seconds ?? 0)).Max();
        Markup rows = Markup.Join(
            results.Stages.Select(stage =>
                Markup.Format(
                    $"""
                    <tr><th scope="row">{stage.Name}</th><td class="number">{Written.Time(
                        stage.Seconds
                    )}</td><td class="bar"><i style="--to:{(
                        longest > 0 ? stage.Seconds / longest : 0
                    ):0.0000}"></i></td><td class="number">{(stage.PeakBytes is long peak and > 0 ? Written.Bytes(peak) : "–")}</td></tr>
                    """
                )
            )
        );
        Markup others = Markup.Join(
            results
                .Comparison.Where(row => row.Seconds is not null)
                .Select(row =>
                    Markup.Format(
                        $"""
                        <tr><th scope="row">for comparison: {row.Name}</th><td class="number">{Written.Time(
                            row.Seconds!.Value
                        )}</td><td class="bar"><i style="--to:{(
                            longest > 0 ? row.Seconds.Value / longest : 0
                        ):0.0000}"></i></td><td class="number">–</td></tr>
                        """
                    )
                )
        );
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>Wall time of the steps; reading CLIP and the images before them is not counted. Memory is the process's largest resident set until the stage's end.</p>
                <div class="wide"><table><thead><tr><th scope="col">stage</th><th scope="col" class="number">time</th><td></td><th scope="col" class="number">peak memory so far</th></tr></thead><tbody>{rows}
                <tr class="sum"><th scope="row">together</th><td class="number">{Written.Time(
                    total
                )}</td><td></td><td></td></tr>{others}</tbody></table></div>
                """
            )
        );
    }

    public static Section Versions(FitResults results)
    {
        (VersionResults of, BackboneResults clip) = (results.Versions, results.Backbone);
        return new Section(
            "versions",
            "What it ran on",
            Markup.Format(
                $"""
            <div class="wide">{Pairs([
                ("seed", results.Asked.Seed is int seed ? Written.Number(seed, "0") : "none was given"),
                ("CLIP", clip.Name), ("its SHA-256", clip.Sha256), ("its location", clip.Location ?? "within the library or the model"),
                ("its images", FormattableString.Invariant($"{clip.ImageSize} × {clip.ImageSize} pixels in patches of {clip.PatchSize} × {clip.PatchSize}")),
                ("its text tower", Shape(clip.Text)), ("its image tower", Shape(clip.Image)), ("its embedding", FormattableString.Invariant($"{clip.EmbeddingWidth} wide")),
                ("Microsoft.ML.Dpl", of.Library), ("ML.NET", of.MLNet), ("TorchSharp", of.TorchSharp), ("libtorch", of.LibTorch), (".NET", of.DotNet), ("system", of.OperatingSystem),
                ("processor", FormattableString.Invariant($"{of.Processor}, {of.Processors} logical processors, {of.Threads} threads")), ("device", of.Device),
                ("started", results.Asked.Started.ToString("yyyy-MM-dd HH:mm:ss zzz", System.Globalization.CultureInfo.InvariantCulture))])}</div>
            """
            )
        );
    }

    private static string Shape(BranchShape branch) =>
        FormattableString.Invariant($"{branch.Layers} layers, {branch.Width} wide, {branch.Heads} heads");

    private static Markup Samples(ClassImages shown, int most, Func<string, string> locate, bool applyExif) =>
        Markup.Join(
            shown
                .Samples.Take(most)
                .Select(file =>
                    Thumbnail.Address(locate(file), SampleSide, applyExif) is string address
                        ? Markup.Format($"""<img src="{address}" alt="{Path.GetFileName(file)}" title="{file}">""")
                        : Markup.Format($"""<span class="gone" title="{file}">no image</span>""")
                )
        );

    private static Markup Pairs(IEnumerable<(string Name, string Value)> pairs) =>
        Markup.Format(
            $"<table><tbody>{Markup.Join(pairs.Select(pair => Markup.Format($"""<tr><th scope="row">{pair.Name}</th><td class="value">{pair.Value}</td></tr>""")))}</tbody></table>"
        );
}
