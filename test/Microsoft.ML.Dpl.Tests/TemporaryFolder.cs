namespace Microsoft.ML.Dpl.Tests;

/// <summary>A temporary folder for one test, deleted on dispose.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string FullPath { get; } = Directory.CreateTempSubdirectory("dpl-test-").FullName;

    public string File(string name) => Path.Combine(FullPath, name);

    /// <summary>Copies a file into the folder; the copy is writable even if the original is not.</summary>
    public string Copy(string source, string? name = null)
    {
        string copy = File(name ?? Path.GetFileName(source));
        System.IO.File.WriteAllBytes(copy, System.IO.File.ReadAllBytes(source));
        return copy;
    }

    public void Dispose() => Directory.Delete(FullPath, recursive: true);
}
