using System.Security.Cryptography;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The network of the package Microsoft.ML.DnnImageFeaturizer.ResNet18, which is not shipped with this command, since it has 60 MB
/// and only one method needs it.</summary>
/// <param name="Network">Path of ResNet18.onnx.</param>
/// <param name="Preparation">Path of ResNetPreprocess.onnx, which contains the mean image.</param>
internal sealed record ResNet18Files(string Network, string Preparation)
{
    public const string Package = "Microsoft.ML.DnnImageFeaturizer.ResNet18",
        Version = "0.23.1";

    private const string NetworkSha256 = "E2552F19DB2DFDB01B3669537B6A0F1B44DA38D18279535492ED5DFC2EF1FF8F",
        PreparationSha256 = "84BF8DEF78D0BEFAA3F6E73745D57D7016C6A192EAD76F79686BD438C1047004";

    /// <param name="folder">Folder of the package, or its DnnImageModels; null: NuGet's package folder.</param>
    /// <exception cref="ArgumentException">The files are missing or have another content; the message says how to get them.</exception>
    public static ResNet18Files Find(string? folder)
    {
        string standard = Path.Combine(
            Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } packages
                ? packages
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages"),
            Package.ToLowerInvariant(),
            Version
        );
        string[] places =
        [
            .. new[] { Path.Combine("tools", "DnnImageModels"), "DnnImageModels", "" }.Select(below =>
                Path.Combine(folder ?? standard, below)
            ),
        ];
        if (places.FirstOrDefault(place => File.Exists(NetworkIn(place))) is not { } found)
            throw new ArgumentException(
                $"there is no ResNet18Onnx/ResNet18.onnx in '{folder ?? standard}'. Restore the package {Package} {Version} once (dotnet "
                    + "add package in any project does), or name its folder as \"resnet18\" in the plan."
            );
        var files = new ResNet18Files(NetworkIn(found), Path.Combine(found, "ResNetPrepOnnx", "ResNetPreprocess.onnx"));
        RequireHash(files.Network, NetworkSha256);
        RequireHash(files.Preparation, PreparationSha256);
        return files;

        static string NetworkIn(string place) => Path.Combine(place, "ResNet18Onnx", "ResNet18.onnx");
    }

    private static void RequireHash(string file, string expected)
    {
        if (!File.Exists(file))
            throw new ArgumentException($"'{file}' is missing: restore the package {Package} {Version} again.");
        using FileStream stream = File.OpenRead(file);
        if (Convert.ToHexString(SHA256.HashData(stream)) != expected)
            throw new ArgumentException(
                $"'{file}' is not the file of {Package} {Version}, so figures could not be compared: restore that package again."
            );
    }
}
