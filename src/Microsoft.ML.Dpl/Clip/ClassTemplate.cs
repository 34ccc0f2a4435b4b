using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The text of a class, in which {} stands for its name.</summary>
/// <remarks>The command compiles this file, too, so that it takes the same templates.</remarks>
internal static class ClassTemplate
{
    /// <summary>The one that is read where none is given.</summary>
    public const string Default = "a photo of a {}.";

    /// <summary>Whether it has exactly one place for the name.</summary>
    public static bool IsValid([NotNullWhen(true)] string? template) => template is not null && template.Split("{}").Length == 2;
}
