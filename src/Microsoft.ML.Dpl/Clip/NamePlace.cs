using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The place of a class's name in a template, written {}.</summary>
/// <remarks>The command compiles this file, too, so that it takes the same templates.</remarks>
internal static class NamePlace
{
    /// <summary>Whether there is exactly one.</summary>
    public static bool IsIn([NotNullWhen(true)] string? template) => template is not null && template.Split("{}").Length == 2;
}
