using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>A CLIP embedded as an assembly's resources. The tests set an environment variable, so they run alone.</summary>
[Collection(RunsAlone.Name)]
public sealed class EmbeddedBackboneTests : IDisposable
{
    private readonly TemporaryFolder _cache = new(),
        _model = new();
    private readonly string? _before = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");

    public EmbeddedBackboneTests()
    {
        SmallBackbone.Write(_model.FullPath, seed: 5);
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", _cache.FullPath);
    }

    [Fact]
    public void It_is_unpacked_once_and_equals_the_folder()
    {
        Assembly assembly = WithResources("Embedded.One", Directory.GetFiles(_model.FullPath));
        ClipBackbone first = EmbeddedBackbone.Open(assembly);
        Assert.StartsWith(_cache.FullPath, first.Location);
        Assert.Equal(ClipBackbone.FromFolder(_model.FullPath).Sha256, first.Sha256);
        DateTime written = File.GetLastWriteTimeUtc(Path.Combine(first.Location!, "model.safetensors"));
        Assert.Equal(first.Location, EmbeddedBackbone.Open(assembly).Location);
        Assert.Equal(written, File.GetLastWriteTimeUtc(Path.Combine(first.Location!, "model.safetensors")));
    }

    [Fact]
    public void Files_that_a_cleaner_removed_or_cut_short_are_unpacked_again()
    {
        Assembly assembly = WithResources("Embedded.Cleaned", Directory.GetFiles(_model.FullPath));
        string folder = EmbeddedBackbone.Open(assembly).Location!;
        File.Delete(Path.Combine(folder, "vocab.json"));
        using (FileStream weights = File.OpenWrite(Path.Combine(folder, "model.safetensors")))
            weights.SetLength(100);
        ClipBackbone again = EmbeddedBackbone.Open(assembly);
        Assert.Equal(folder, again.Location);
        Assert.Equal(ClipBackbone.FromFolder(_model.FullPath).Sha256, again.Sha256);
        Assert.NotNull(again.CreateTokenizer());
    }

    [Fact]
    public void Several_at_once_unpack_to_one_folder()
    {
        Assembly assembly = WithResources("Embedded.Many", Directory.GetFiles(_model.FullPath));
        string[] locations = new string[8];
        Parallel.For(0, locations.Length, i => locations[i] = EmbeddedBackbone.Open(assembly).Location!);
        Assert.Single(locations.Distinct());
        Assert.Single(Directory.GetDirectories(Path.GetDirectoryName(locations[0])!));
    }

    [Fact]
    public void An_unwritable_cache_gives_way_to_a_temporary_folder()
    {
        string file = _cache.File("not-a-folder");
        File.WriteAllText(file, "");
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", file);
        ClipBackbone backbone = EmbeddedBackbone.Open(
            WithResources("Embedded.Unwritable" + Guid.NewGuid().ToString("n"), Directory.GetFiles(_model.FullPath))
        );
        Assert.DoesNotContain(file, backbone.Location);
        Directory.Delete(backbone.Location!, recursive: true);
    }

    [Fact]
    public void A_missing_package_and_an_empty_one_are_told_apart()
    {
        Assert.Null(EmbeddedBackbone.TryOpen("No.Such.Package"));
        Assert.Contains(
            "carries no CLIP",
            Assert.Throws<InvalidDataException>(() => EmbeddedBackbone.Open(typeof(EmbeddedBackboneTests).Assembly)).Message
        );
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", _before);
        _cache.Dispose();
        _model.Dispose();
    }

    private static Assembly WithResources(string name, IEnumerable<string> files)
    {
        var image = new MemoryStream();
        var result = CSharpCompilation
            .Create(
                name,
                references: [MetadataReference.CreateFromFile(typeof(object).Assembly.Location)],
                options: new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary)
            )
            .Emit(
                image,
                manifestResources: files.Select(f => new ResourceDescription(
                    "model/" + Path.GetFileName(f),
                    () => File.OpenRead(f),
                    isPublic: true
                ))
            );
        Assert.True(result.Success, string.Join("\n", result.Diagnostics));
        return Assembly.Load(image.ToArray());
    }
}
