using System.Diagnostics.CodeAnalysis;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>The text of a class, in which {} stands for its name.</summary>
/// <remarks>The command line tool compiles this file too, so that it accepts the same templates.</remarks>
internal static class ClassTemplate
{
    /// <summary>The template that is used if none is given.</summary>
    public const string Default = "a photo of a {}.";

    /// <summary>Whether the template contains {} exactly once.</summary>
    public static bool IsValid([NotNullWhen(true)] string? template) => template is not null && template.Split("{}").Length == 2;
}
