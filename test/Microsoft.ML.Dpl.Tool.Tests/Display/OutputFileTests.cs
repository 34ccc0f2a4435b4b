using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Tests.Display;

/// <summary>Files are written completely or not at all, and messages use the paths that the user gave.</summary>
/// <remarks>Runs alone, because the cleanup at the end of the process removes the half-written files of all tests in it.</remarks>
[Collection(RunsAlone.Name)]
public sealed class OutputFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_is_replaced_once_the_new_one_is_whole()
    {
        string path = _folder.File("new/model.zip");
        OutputFile file = OutputFile.Check(path, "--output");
        file.Write(temporary => File.WriteAllText(temporary, "first"));
        Assert.Throws<FormatException>(() =>
            file.Write(temporary =>
            {
                File.WriteAllText(temporary, "half");
                throw new FormatException();
            })
        );
        Assert.Equal("first", File.ReadAllText(path));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void What_cannot_be_written_is_told_by_its_own_name()
    {
        string path = _folder.File("model.zip");
        OutputFile file = OutputFile.Check(path, "--output");
        string message = Assert
            .Throws<IOException>(() => file.Write(temporary => throw new IOException($"No space left on device : '{temporary}'")))
            .Message;
        Assert.Equal($"'{path}' cannot be written: No space left on device : '{path}'.", message);
        Directory.CreateDirectory(path);
        Assert.DoesNotContain(".partial", Assert.Throws<IOException>(() => OutputFile.Check(path, "--output")).Message);
    }

    /// <summary>The result of hours of fitting is not lost because its folder has become unusable.</summary>
    [Fact]
    public void Work_is_kept_elsewhere_where_its_place_is_gone()
    {
        string path = _folder.File("output/model.zip");
        OutputFile file = OutputFile.Check(path, "--output");
        Directory.Delete(Path.GetDirectoryName(path)!);
        File.WriteAllText(Path.GetDirectoryName(path)!, "in the way");
        Assert.False(file.WriteSomewhere(temporary => File.WriteAllText(temporary, "hours")));
        Assert.NotEqual(path, file.FullPath);
        Assert.Equal("hours", File.ReadAllText(file.FullPath));
        Directory.Delete(Path.GetDirectoryName(file.FullPath)!, recursive: true);
    }

    [Fact]
    public void What_is_half_written_is_removed_where_the_process_ends()
    {
        string path = _folder.File("model.zip");
        int left = -1;
        OutputFile
            .Check(path, "--output")
            .Write(temporary =>
            {
                File.WriteAllText(temporary, "half");
                OutputFile.Abandon(() => left = Directory.GetFiles(_folder.FullPath).Length);
                File.WriteAllText(temporary, "whole");
            });
        Assert.Equal(0, left);
        Assert.Equal("whole", File.ReadAllText(path));
    }

    [Fact]
    public void Files_that_belong_together_are_placed_together()
    {
        string path = _folder.File("model.onnx"),
            data = _folder.File("model.onnx.data"),
            partial = "";
        File.WriteAllText(path, "old");
        OutputFile file = OutputFile.Check(path, "--output");
        file.Write(temporary =>
        {
            Directory.CreateDirectory(partial = temporary);
            File.WriteAllText(Path.Combine(temporary, "model.onnx"), "model");
            File.WriteAllText(Path.Combine(temporary, "model.onnx.data"), "data");
            Assert.Equal("old", File.ReadAllText(path));
        });
        Assert.Equal(("model", "data"), (File.ReadAllText(path), File.ReadAllText(data)));
        string message = Assert
            .Throws<IOException>(() =>
                file.Write(temporary =>
                {
                    Directory.CreateDirectory(temporary);
                    File.WriteAllText(Path.Combine(temporary, "model.onnx"), "half");
                    throw new IOException($"No space left on device : '{Path.Combine(temporary, "model.onnx.data")}'");
                })
            )
            .Message;
        Assert.Equal($"'{path}' cannot be written: No space left on device : '{data}'.", message);
        int left = -1;
        file.Write(temporary =>
        {
            Directory.CreateDirectory(temporary);
            File.WriteAllText(Path.Combine(temporary, "model.onnx.data"), "half");
            OutputFile.Abandon(() => left = Directory.GetFileSystemEntries(_folder.FullPath).Length);
            Directory.CreateDirectory(temporary);
        });
        Assert.Equal(2, left);
        Assert.Equal(("model", "data"), (File.ReadAllText(path), File.ReadAllText(data)));
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder.FullPath).Order(StringComparer.Ordinal));
        Assert.EndsWith(".partial", partial);
    }

    [Fact]
    public async Task Whoever_ends_the_process_waits_for_what_takes_a_moment()
    {
        using ManualResetEventSlim begun = new(),
            finish = new();
        bool whole = false;
        Task writing = Task.Run(() =>
            OutputFile.Undisturbed(() =>
            {
                begun.Set();
                finish.Wait();
                whole = true;
            })
        );
        begun.Wait();
        Task<bool> ending = Task.Run(() =>
        {
            bool found = false;
            OutputFile.Abandon(() => found = whole);
            return found;
        });
        Assert.NotSame(ending, await Task.WhenAny(ending, Task.Delay(200)));
        finish.Set();
        await writing;
        Assert.True(await ending);
    }

    [Fact]
    public void Nothing_that_is_read_is_written_to()
    {
        string path = _folder.File("train.tsv");
        File.WriteAllText(path, "");
        string message = Assert
            .Throws<ArgumentException>(() =>
                OutputFile.Check(path, "--output", [_folder.File("x"), Path.Combine(_folder.FullPath, ".", "train.tsv")])
            )
            .Message;
        Assert.Contains("--output would replace", message);
    }
}
