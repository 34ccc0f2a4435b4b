using System.Reflection;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Model zips loaded by <c>MLContext.Model.Load</c>: one target damages only this library's entries, another any.</summary>
internal sealed class ModelZipTargets
{
    private static readonly string Saved = Path.Combine(
        SharedData.RepositoryRoot,
        "test",
        "Microsoft.ML.Dpl.Tests",
        "EndToEnd",
        "SavedVersion1"
    );

    private readonly string _temporary,
        _path;
    private readonly MLContext _mlContext;

    public ModelZipTargets(string folder)
    {
        _temporary = Path.Combine(folder, "unpacked");
        _path = Path.Combine(folder, "model.zip");
        Directory.CreateDirectory(_temporary);
        _mlContext = new MLContext(1) { TempFilePath = _temporary };
        byte[] prompts = File.ReadAllBytes(Path.Combine(Saved, "model.zip")),
            whole = Carrying(prompts);
        All = [Entries(prompts, whole), Anywhere(prompts, whole), Info(prompts)];
    }

    public IReadOnlyList<FuzzTarget> All { get; }

    /// <summary>Asserts that no file is left. Empty folders are allowed: for an invalid zip ML.NET leaves one until the next garbage
    /// collection.</summary>
    public void AssertNothingLeft() => Assert.Empty(Directory.EnumerateFiles(_temporary, "*", SearchOption.AllDirectories));

    /// <summary>The zip of the same model with the whole CLIP in it.</summary>
    private byte[] Carrying(byte[] zip)
    {
        _mlContext.Knowing(ClipBackbone.FromFolder(Path.Combine(Saved, "clip")));
        ITransformer model = _mlContext.Model.Load(new MemoryStream(zip), out DataViewSchema schema);
        using DplTransformer transformer = ((IEnumerable<ITransformer>)model).OfType<DplTransformer>().Single();
        transformer.Contents = ModelContents.WithClip;
        using var carrying = new MemoryStream();
        _mlContext.Model.Save(model, schema, carrying);
        return carrying.ToArray();
    }

    private FuzzTarget Entries(params byte[][] zips)
    {
        var opened = zips.Select(ZipBytes.Entries).ToArray();
        return new FuzzTarget(
            "model-zip-entries",
            4,
            random =>
            {
                List<(string Name, byte[] Content)> entries = [.. opened[random.Next(opened.Length)]];
                int[] ours = [.. Enumerable.Range(0, entries.Count).Where(i => IsOurs(entries[i].Name))];
                int changed = ours[random.Next(ours.Length)];
                if (random.Next(8) == 0)
                    entries.RemoveAt(changed);
                else
                    entries[changed] = (entries[changed].Name, new Mutator(entries[changed].Content).Next(random));
                return ZipBytes.Create(entries);
            },
            bytes =>
            {
                try
                {
                    (_mlContext.Model.Load(new MemoryStream(bytes), out _) as IDisposable)?.Dispose();
                }
                catch (TargetInvocationException e)
                {
                    ExceptionDispatchInfo.Throw(Innermost(e));
                }
            },
            typeof(InvalidDataException),
            typeof(FileNotFoundException)
        )
        {
            Whole = zips,
            BytesPerByte = 256,
            BytesAtLeast = 32 << 20,
        };
    }

    // The library does not control what ML.NET throws for its own entries; but the process must survive and no file be left.
    private FuzzTarget Anywhere(params byte[][] zips)
    {
        var whole = new Mutator(zips);
        var opened = zips.Select(ZipBytes.Entries).ToArray();
        return new FuzzTarget(
            "model-zip",
            3,
            random =>
            {
                if (random.Next(2) == 0)
                    return whole.Next(random);
                List<(string Name, byte[] Content)> entries = [.. opened[random.Next(opened.Length)]];
                int changed = random.Next(entries.Count);
                byte[] content = entries[changed].Content;
                if (random.Next(2) == 0 && content.Length > 0)
                    content = new Mutator(content).Next(random);
                string name = random.Next(4) switch
                {
                    0 => "../../" + entries[changed].Name,
                    1 => "/tmp/" + entries[changed].Name,
                    2 => entries[(changed + 1) % entries.Count].Name,
                    _ => entries[changed].Name,
                };
                if (random.Next(2) == 0)
                    entries.Add((name, content));
                else
                    entries[changed] = (name, content);
                return random.Next(4) == 0
                    ? ZipBytes.Claiming(ZipBytes.Create(entries), name, (uint)random.NextInt64(1L << 26))
                    : ZipBytes.Create(entries);
            },
            bytes =>
            {
                File.WriteAllBytes(_path, bytes);
                try
                {
                    // Loaded even if the check refuses the zip, because applications may skip the check.
                    Exception? refused = Record.Exception(() => ModelZip.Check(_path));
                    Assert.True(refused is null or InvalidDataException, $"{refused}");
                    (_mlContext.Model.Load(new MemoryStream(bytes), out _) as IDisposable)?.Dispose();
                }
                catch (Exception e) when (e is not (OutOfMemoryException or Xunit.Sdk.XunitException))
                {
                    throw new InvalidDataException($"ML.NET: {e.Message}", e);
                }
            },
            typeof(InvalidDataException)
        )
        {
            Whole = zips,
            BytesPerByte = 256,
            BytesAtLeast = 64 << 20,
        };
    }

    /// <summary>Reads the description alone, from a damaged zip or from a zip with a damaged description.</summary>
    private FuzzTarget Info(byte[] zip)
    {
        var whole = new Mutator(zip);
        List<(string Name, byte[] Content)> entries = ZipBytes.Entries(zip);
        int description = entries.FindIndex(entry => entry.Name.EndsWith("dpl.json", StringComparison.Ordinal));
        var text = new Mutator(entries[description].Content);
        return new FuzzTarget(
            "model-info",
            4,
            random =>
            {
                if (random.Next(2) == 0)
                    return whole.Next(random);
                List<(string Name, byte[] Content)> changed = [.. entries];
                changed[description] = (changed[description].Name, text.Next(random));
                return ZipBytes.Create(changed);
            },
            bytes =>
            {
                File.WriteAllBytes(_path, bytes);
                try
                {
                    _ = ModelInfo.Read(_path);
                }
                catch (InvalidDataException e)
                {
                    Assert.Contains(_path, e.Message);
                    throw;
                }
            },
            typeof(InvalidDataException)
        )
        {
            Whole = [zip],
        };
    }

    private static bool IsOurs(string name) =>
        name.Contains("dpl.json", StringComparison.Ordinal)
        || name.Contains("prompts.safetensors", StringComparison.Ordinal)
        || name.Contains("clip.", StringComparison.Ordinal);

    private static Exception Innermost(Exception e)
    {
        while (e is TargetInvocationException { InnerException: { } inner })
            e = inner;
        return e;
    }
}
