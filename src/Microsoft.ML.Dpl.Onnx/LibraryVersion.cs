using System.Reflection;

namespace Microsoft.ML.Dpl.Onnx;

/// <summary>What wrote a model.</summary>
internal static class LibraryVersion
{
    public const string Name = "Microsoft.ML.Dpl";

    /// <summary>As the package has it, without the commit.</summary>
    public static string Number { get; } =
        typeof(LibraryVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
