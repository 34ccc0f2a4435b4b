using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Recognises that memory ran out, of .NET's or of libtorch's, and says what wanted it and what to lower.</summary>
internal static partial class MemoryShortage
{
    /// <summary>Whether memory ran out and nobody has said yet what for.</summary>
    public static bool IsUntold(Exception exception) =>
        exception switch
        {
            InsufficientMemoryException => false,
            OutOfMemoryException => true,
            // TorchSharp has this one type for all that libtorch throws.
            ExternalException => Native().IsMatch(exception.Message),
            AggregateException several => several.InnerExceptions.Any(IsUntold),
            _ => false,
        };

    /// <summary>The exception to throw instead.</summary>
    /// <param name="cause">One that <see cref="IsUntold"/>.</param>
    /// <param name="what">What there was not enough memory for.</param>
    /// <param name="advice">What to lower, as a sentence.</param>
    public static InsufficientMemoryException For(Exception cause, string what, string advice) =>
        new($"There is not enough memory for {what}{Wanted(cause)}. {advice}", cause);

    /// <summary>Does something with many items at once, and where memory runs out with fewer at a time.</summary>
    /// <param name="items">At least one.</param>
    /// <param name="work">Gives a result for each of those that it is given.</param>
    /// <param name="one">What work on a single item is.</param>
    /// <param name="advice">What to do where there is not enough memory for a single one.</param>
    /// <exception cref="InsufficientMemoryException">There is not.</exception>
    public static TResult[] InParts<T, TResult>(IReadOnlyList<T> items, Func<IReadOnlyList<T>, TResult[]> work, string one, string advice)
    {
        try
        {
            return work(items);
        }
        catch (Exception e) when (IsUntold(e))
        {
            if (items.Count == 1)
                throw For(e, one, advice);
        }
        // Outside the handler: the exception may keep alive what it failed with.
        int half = items.Count / 2;
        return [.. InParts([.. items.Take(half)], work, one, advice), .. InParts([.. items.Skip(half)], work, one, advice)];
    }

    /// <summary>How much the allocation that failed asked for, in parentheses; empty where that is not known.</summary>
    private static string Wanted(Exception cause)
    {
        if (cause is AggregateException several)
            cause = several.InnerExceptions.First(IsUntold);
        Match match = Size().Match(cause.Message);
        if (!match.Success)
            return "";
        string text = match.Groups["size"].Value;
        if (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong bytes))
            text = FormattableString.Invariant($"{Math.Max(bytes >> 20, 1)} MiB");
        return $" ({text} more could not be had)";
    }

    [GeneratedRegex("tried to allocate|out of memory|not enough memory|bad_alloc", RegexOptions.IgnoreCase)]
    private static partial Regex Native();

    [GeneratedRegex(@"tried to allocate (?<size>\d+(?=\s+bytes)|[\d.]+ [KMGT]iB)", RegexOptions.IgnoreCase)]
    private static partial Regex Size();
}
