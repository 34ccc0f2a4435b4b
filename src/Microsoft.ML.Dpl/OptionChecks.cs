using System.Runtime.CompilerServices;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl;

/// <summary>Validates option values. The option's name in a message is the checked expression, as the user writes it.</summary>
internal static class OptionChecks
{
    private const double LargestRate = 1e37;

    public static void RequireName(string? name, [CallerArgumentExpression(nameof(name))] string option = "")
    {
        if (string.IsNullOrWhiteSpace(name))
            throw new ArgumentException($"{option} is empty.", option);
    }

    public static void RequireApart(params ReadOnlySpan<(string? Name, string Option)> columns)
    {
        for (int i = 0; i < columns.Length; i++)
        {
            for (int j = i + 1; j < columns.Length; j++)
            {
                if (columns[i].Name == columns[j].Name)
                    throw new ArgumentException(
                        $"{columns[i].Option} and {columns[j].Option} are both '{columns[i].Name}', but must be two columns: change "
                            + "one of them.",
                        columns[j].Option
                    );
            }
        }
    }

    public static void RequireDefined<T>(T value, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
            throw new ArgumentOutOfRangeException(
                option,
                $"{option} is {value:D}, which is not one of {string.Join(", ", Enum.GetNames<T>())}."
            );
    }

    /// <summary>A null value means that the option is not set, and is valid.</summary>
    public static void RequireAtLeast(int? value, int minimum, [CallerArgumentExpression(nameof(value))] string option = "") =>
        RequireRange(value is null || value >= minimum, value, $"at least {minimum}", option);

    /// <summary>Requires a learning rate above 0. The maximum is below that of float32, in which updates are computed, because Adam's first
    /// updates are larger than its learning rate.</summary>
    public static void RequireRate(double? value, [CallerArgumentExpression(nameof(value))] string option = "") =>
        RequireRange(value is null or (> 0 and <= LargestRate), value, $"above 0 and at most {LargestRate:g1}", option);

    /// <summary>Requires a number within the range of float32, in which updates are computed. A null value means that the option is not
    /// set, and is valid.</summary>
    public static void RequireSingle(
        bool holds,
        double? value,
        string range,
        [CallerArgumentExpression(nameof(value))] string option = ""
    ) => RequireRange(holds && value is null or <= float.MaxValue, value, $"{range} and at most {float.MaxValue:g2}", option);

    /// <summary>Requires a context that leaves room for a class's name in CLIP's text length.</summary>
    public static void RequireContext(PromptContext context, ClipConfig config, string option)
    {
        int longest = ContextLayout.LongestOf(config);
        RequireRange(
            context.Length is null || (context.Length >= 1 && context.Length <= longest),
            context.Length,
            $"from 1 to {longest}, which leaves room for a name in CLIP's {config.ContextLength} tokens",
            $"{option}.{nameof(context.Length)}"
        );
        RequireDefined(context.Position, $"{option}.{nameof(context.Position)}");
        if (context.Words is not null)
            RequireName(context.Words, $"{option}.{nameof(context.Words)}");
    }

    /// <summary>A null value means that the option is not set, and is valid.</summary>
    public static void RequireRange(bool holds, double? value, string range, [CallerArgumentExpression(nameof(value))] string option = "")
    {
        // NaN fails every comparison and so is rejected too.
        if (!holds || (value is double number && !double.IsFinite(number)))
            throw new ArgumentOutOfRangeException(option, FormattableString.Invariant($"{option} must be {range}; it is {value}."));
    }
}
