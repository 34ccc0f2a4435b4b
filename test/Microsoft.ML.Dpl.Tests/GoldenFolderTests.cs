using System.IO.Compression;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>The golden values are part of the repository, small enough for a clone, and tests read them as plain files.</summary>
public sealed class GoldenFolderTests : IDisposable
{
    private const long MaximumBytes = 10_000_000;

    private readonly TemporaryFolder _source = new(),
        _target = new();

    public void Dispose()
    {
        _source.Dispose();
        _target.Dispose();
    }

    [Fact]
    public void The_repositorys_golden_values_take_at_most_ten_million_bytes() =>
        Assert.InRange(
            Directory.EnumerateFiles(GoldenFolder.Source, "*", SearchOption.AllDirectories).Sum(path => new FileInfo(path).Length),
            1,
            MaximumBytes
        );

    [Fact]
    public void Every_golden_file_of_tensors_is_kept_compressed_and_is_whole()
    {
        Assert.Empty(Directory.EnumerateFiles(GoldenFolder.Source, "*.safetensors", SearchOption.AllDirectories));
        string[] names =
        [
            .. Directory
                .EnumerateFiles(GoldenFolder.Source, "*.safetensors.br", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(GoldenFolder.Source, path)[..^3]),
        ];
        Assert.Contains(Path.Combine("designs", "coop", "tiny-a", "unified-end.safetensors"), names);
        Assert.All(names, name =>
        {
            using SafetensorsFile file = SafetensorsFile.Open(GoldenFolder.At(name));
            Assert.NotEmpty(file.Entries);
        });
    }

    [Fact]
    public void A_folder_without_compressed_files_is_read_where_it_lies()
    {
        Put("case/supernet.safetensors", [1, 2]);
        Assert.Equal(_source.FullPath, GoldenFolder.Unpacked(_source.FullPath, _target.FullPath));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_target.FullPath));
    }

    [Fact]
    public void Compressed_and_plain_files_lie_beside_each_other_once_unpacked()
    {
        Put("case/clip.safetensors.br", Compressed([3, 4, 5]));
        Put("case/config.json", [6]);
        string unpacked = GoldenFolder.Unpacked(_source.FullPath, _target.FullPath);
        Assert.Equal([3, 4, 5], File.ReadAllBytes(Path.Combine(unpacked, "case", "clip.safetensors")));
        Assert.Equal([6], File.ReadAllBytes(Path.Combine(unpacked, "case", "config.json")));
        Assert.Equal(2, Directory.GetFiles(unpacked, "*", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public void Changed_values_are_unpacked_into_another_folder()
    {
        Put("a.br", Compressed([1]));
        string before = GoldenFolder.Unpacked(_source.FullPath, _target.FullPath);
        Assert.Equal(before, GoldenFolder.Unpacked(_source.FullPath, _target.FullPath));
        Put("a.br", Compressed([2]));
        string after = GoldenFolder.Unpacked(_source.FullPath, _target.FullPath);
        Assert.Equal([1], File.ReadAllBytes(Path.Combine(before, "a")));
        Assert.Equal([2], File.ReadAllBytes(Path.Combine(after, "a")));
    }

    [Fact]
    public void Many_that_unpack_at_once_get_one_whole_folder()
    {
        byte[] content = [.. Enumerable.Range(0, 300_000).Select(i => (byte)(i * i))];
        for (int i = 0; i < 5; i++)
            Put($"{i}.br", Compressed(content));
        string[] folders =
        [
            .. Enumerable
                .Range(0, 8)
                .AsParallel()
                .WithDegreeOfParallelism(8)
                .WithExecutionMode(ParallelExecutionMode.ForceParallelism)
                .Select(_ => GoldenFolder.Unpacked(_source.FullPath, _target.FullPath)),
        ];
        string folder = Assert.Single(folders.Distinct());
        Assert.Equal([folder], Directory.GetFileSystemEntries(_target.FullPath));
        for (int i = 0; i < 5; i++)
            Assert.Equal(content, File.ReadAllBytes(Path.Combine(folder, $"{i}")));
    }

    [Fact]
    public void A_damaged_file_is_refused_and_nothing_of_it_is_kept()
    {
        Put("a.br", [.. Enumerable.Repeat((byte)0xFF, 100)]);
        Assert.Throws<InvalidOperationException>(() => GoldenFolder.Unpacked(_source.FullPath, _target.FullPath));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_target.FullPath));
    }

    [Fact]
    public void A_file_that_is_there_twice_is_refused()
    {
        Put("a", [1]);
        Put("a.br", Compressed([2]));
        Assert.Throws<IOException>(() => GoldenFolder.Unpacked(_source.FullPath, _target.FullPath));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_target.FullPath));
    }

    [Fact]
    public void What_is_not_there_is_named() =>
        Assert.Contains("'tiny-a/none'", Assert.Throws<FileNotFoundException>(() => GoldenFolder.At("tiny-a/none")).Message);

    private void Put(string name, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_source.File(name))!);
        File.WriteAllBytes(_source.File(name), content);
    }

    private static byte[] Compressed(byte[] content)
    {
        using var stream = new MemoryStream();
        using (var brotli = new BrotliStream(stream, CompressionLevel.Fastest))
            brotli.Write(content);
        return stream.ToArray();
    }
}
