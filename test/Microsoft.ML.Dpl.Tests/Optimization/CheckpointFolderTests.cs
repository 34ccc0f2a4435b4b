using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Optimization;
using Xunit.Abstractions;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Optimization;

/// <summary>What is on the disk at every moment: two generations of checkpoints, complete or refused, whatever fails.</summary>
public sealed class CheckpointFolderTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_two_latest_are_kept_and_the_latest_is_read()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Assert.Null(Latest(folder));
        for (int i = 1; i <= 4; i++)
        {
            Write(folder, i);
            Assert.Equal(Enumerable.Range(Math.Max(1, i - 1), Math.Min(2, i)).Select(n => $"checkpoint-{n}.safetensors"), Names());
            Assert.Equal(i, Latest(folder));
        }
        folder.Clear();
        Assert.Empty(Names());
        Assert.Null(Latest(folder));
    }

    /// <summary>Checkpoints are ordered by number, not by name: 9 comes before 10.</summary>
    [Fact]
    public void The_tenth_is_later_than_the_ninth()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        for (int i = 1; i <= 11; i++)
        {
            Write(folder, i);
            Assert.Equal(i, Latest(folder));
        }
        Assert.Equal(["checkpoint-10.safetensors", "checkpoint-11.safetensors"], Names());
    }

    /// <summary>A process killed in between leaves the most advanced state.</summary>
    [Fact]
    public void Where_all_are_removed_the_latest_goes_last()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        for (int i = 1; i <= 10; i++)
            Write(folder, i);
        using var removed = new BlockingCollection<string>();
        using var watcher = new FileSystemWatcher(_folder.FullPath, "checkpoint-*");
        watcher.Deleted += (_, e) => removed.Add(e.Name!);
        watcher.EnableRaisingEvents = true;
        folder.Clear();
        foreach (string expected in (string[])["checkpoint-9.safetensors", "checkpoint-10.safetensors"])
        {
            Assert.True(removed.TryTake(out string? name, TimeSpan.FromSeconds(30)), "nothing was heard of a removal");
            Assert.Equal(expected, name);
        }
    }

    [Fact]
    public void A_write_that_fails_after_any_number_of_bytes_leaves_the_earlier_ones()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        Write(folder, 2);
        long length = new FileInfo(_folder.File("checkpoint-2.safetensors")).Length;
        byte[][] before = [.. Names().Select(name => File.ReadAllBytes(_folder.File(name)))];
        for (long space = 0; space < length; space++)
        {
            using Checkpoint next = Number(3);
            Assert.Throws<IOException>(() => folder.Write(stream => CheckpointFile.Write(new LimitedStream(stream, space), next)));
            Assert.Equal(["checkpoint-1.safetensors", "checkpoint-2.safetensors"], Names());
        }
        Assert.Equal(before, Names().Select(name => File.ReadAllBytes(_folder.File(name))));
        Assert.Equal(2, Latest(folder));
        using Checkpoint whole = Number(3);
        folder.Write(stream => CheckpointFile.Write(new LimitedStream(stream, length), whole));
        Assert.Equal(3, Latest(folder));
        output.WriteLine($"reliability: writes that failed after 0 to {length - 1} bytes left the two earlier checkpoints as they were");
    }

    [Fact]
    public void While_it_is_written_it_has_another_name_and_the_earlier_ones_stay()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        Write(folder, 2);
        byte[][] before = [.. Names().Select(name => File.ReadAllBytes(_folder.File(name)))];
        using Checkpoint next = Number(3);
        folder.Write(stream =>
        {
            CheckpointFile.Write(stream, next);
            Assert.Equal(["checkpoint-1.safetensors", "checkpoint-2.safetensors", "checkpoint.partial"], Names());
            Assert.Equal(before, Names().Take(2).Select(name => File.ReadAllBytes(_folder.File(name))));
        });
        Assert.Equal(["checkpoint-2.safetensors", "checkpoint-3.safetensors"], Names());
    }

    /// <summary>The files left by a kill after the new checkpoint is named and before the oldest is removed, and by one in the middle of a
    /// write.</summary>
    [Fact]
    public void After_three_generations_and_a_part_of_a_fourth_the_run_continues()
    {
        using (CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1))
        {
            for (int i = 1; i <= 3; i++)
            {
                if (i == 3)
                    File.Copy(_folder.File("checkpoint-1.safetensors"), _folder.File("oldest"));
                Write(folder, i);
            }
        }
        File.Move(_folder.File("oldest"), _folder.File("checkpoint-1.safetensors"));
        File.WriteAllBytes(_folder.File("checkpoint.partial"), File.ReadAllBytes(_folder.File("checkpoint-3.safetensors"))[..100]);
        using CheckpointFolder again = CheckpointFolder.Open(_folder.FullPath, 1);
        Assert.Equal(3, Latest(again));
        Write(again, 4);
        Assert.Equal(["checkpoint-3.safetensors", "checkpoint-4.safetensors"], Names());
        Assert.Equal(4, Latest(again));
    }

    [Fact]
    public void Every_changed_bit_is_found()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        string path = _folder.File("checkpoint-1.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            byte[] changed = [.. bytes];
            changed[bit / 8] ^= (byte)(1 << bit % 8);
            File.WriteAllBytes(path, changed);
            Exception? refusal = Record.Exception(() => CheckpointFile.Read(path).Dispose());
            Assert.True(refusal is InvalidDataException, $"bit {bit % 8} of byte {bit / 8}: {refusal?.ToString() ?? "read"}");
        }
        output.WriteLine($"reliability: each of the {bytes.Length * 8} bits of a checkpoint changed was found");
    }

    [Fact]
    public void Every_cut_is_found()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        string path = _folder.File("checkpoint-1.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        for (int length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(path, bytes[..length]);
            Assert.Throws<InvalidDataException>(() => CheckpointFile.Read(path));
        }
        output.WriteLine($"reliability: a checkpoint cut to any of 0 to {bytes.Length - 1} bytes was found");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void One_damaged_generation_is_replaced_by_the_other(int damaged)
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        Write(folder, 2);
        Flip($"checkpoint-{damaged}.safetensors");
        var warnings = new List<string>();
        using (Checkpoint found = folder.ReadLatest(warnings.Add)!)
            Assert.Equal(3 - damaged, Of(found));
        // The older one is not read while the latest is intact.
        Assert.Equal(damaged == 2, warnings.Count == 1);
        // A damaged checkpoint never displaces an intact one.
        Write(folder, 3);
        Assert.Equal(
            damaged == 2
                ? ["checkpoint-1.safetensors", "checkpoint-3.safetensors"]
                : ["checkpoint-2.safetensors", "checkpoint-3.safetensors"],
            Names()
        );
    }

    [Fact]
    public void Where_both_are_damaged_it_refuses_and_keeps_them()
    {
        using CheckpointFolder folder = CheckpointFolder.Open(_folder.FullPath, 1);
        Write(folder, 1);
        Write(folder, 2);
        foreach (string name in Names())
            Flip(name);
        string message = Assert.Throws<InvalidDataException>(() => folder.ReadLatest(_ => { })).Message;
        foreach (string name in Names())
            Assert.Contains(_folder.File(name), message);
        Assert.Contains("Nothing was changed", message);
        Assert.Equal(["checkpoint-1.safetensors", "checkpoint-2.safetensors"], Names());
    }

    [Fact]
    public void Only_one_has_the_folder_and_the_next_may_have_it()
    {
        using (CheckpointFolder.Open(_folder.FullPath, 1))
        {
            Assert.Contains("one fit at a time", Assert.Throws<IOException>(() => CheckpointFolder.Open(_folder.FullPath, 1)).Message);
        }
        using CheckpointFolder again = CheckpointFolder.Open(_folder.FullPath, 1);
        Assert.Equal(_folder.FullPath, again.FullPath);
    }

    private string[] Names() =>
        [
            .. Directory
                .GetFiles(_folder.FullPath)
                .Select(path => Path.GetFileName(path)!)
                .Where(name => name != "workspace.lock")
                .Order(StringComparer.Ordinal),
        ];

    private void Flip(string name)
    {
        byte[] bytes = File.ReadAllBytes(_folder.File(name));
        bytes[^1] ^= 0x10;
        File.WriteAllBytes(_folder.File(name), bytes);
    }

    private static Checkpoint Number(int number) =>
        new(
            new Dictionary<string, string> { ["number"] = $"{number}" },
            new Dictionary<string, Tensor> { ["rows"] = full([2, 3], (float)number), ["state"] = zeros(5, ScalarType.Byte) }
        );

    private static void Write(CheckpointFolder folder, int number)
    {
        using Checkpoint checkpoint = Number(number);
        folder.Write(checkpoint);
    }

    private static int? Latest(CheckpointFolder folder)
    {
        using Checkpoint? found = folder.ReadLatest(warning => Assert.Fail(warning));
        return found is null ? null : Of(found);
    }

    private static int Of(Checkpoint checkpoint)
    {
        int number = int.Parse(checkpoint.Texts["number"], System.Globalization.CultureInfo.InvariantCulture);
        Assert.All(checkpoint.Tensors["rows"].data<float>(), value => Assert.Equal(number, value));
        return number;
    }

    /// <summary>A disk with <paramref name="space"/> bytes left.</summary>
    private sealed class LimitedStream(Stream inner, long space) : Stream
    {
        private long _left = space;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => inner.Length;

        public override long Position
        {
            get => inner.Position;
            set => throw new NotSupportedException();
        }

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            int taken = (int)Math.Min(_left, buffer.Length);
            inner.Write(buffer[..taken]);
            _left -= taken;
            if (taken < buffer.Length)
                throw new IOException("No space left on device");
        }
    }
}
