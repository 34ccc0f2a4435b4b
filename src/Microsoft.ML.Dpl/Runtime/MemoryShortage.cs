using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// Recognises out-of-memory errors of .NET and libtorch, and turns them into messages that say what needed the memory and which setting to
/// lower.
/// </summary>
internal static partial class MemoryShortage
{
    /// <summary>Whether this is an out-of-memory error without such a message yet.</summary>
    public static bool IsUntold(Exception exception) =>
        exception switch
        {
            InsufficientMemoryException => false,
            OutOfMemoryException => true,
            // TorchSharp throws this one type for all errors of libtorch.
            ExternalException => Native().IsMatch(exception.Message),
            AggregateException several => several.InnerExceptions.Any(IsUntold),
            _ => false,
        };

    /// <summary>The exception to throw instead.</summary>
    /// <param name="cause">An exception for which <see cref="IsUntold"/> is true.</param>
    /// <param name="what">What the memory was needed for.</param>
    /// <param name="advice">Which setting to lower, as a sentence.</param>
    public static InsufficientMemoryException For(Exception cause, string what, string advice) =>
        new($"There is not enough memory for {what}{Wanted(cause)}. {advice}", cause);

    /// <summary>Processes many items at once, and if memory runs out, in smaller parts.</summary>
    /// <param name="items">The items, at least one.</param>
    /// <param name="work">Returns one result for each item that it is passed.</param>
    /// <param name="one">What the work on a single item is, for the message.</param>
    /// <param name="advice">What to do if there is not enough memory for a single item, as a sentence.</param>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single item.</exception>
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
        // Outside the handler, since the exception may keep the memory of the failed attempt alive.
        int half = items.Count / 2;
        return [.. InParts([.. items.Take(half)], work, one, advice), .. InParts([.. items.Skip(half)], work, one, advice)];
    }

    /// <summary>The size of the failed allocation, in parentheses; empty if it is not known.</summary>
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
        return $" ({text} more could not be allocated)";
    }

    [GeneratedRegex("tried to allocate|out of memory|not enough memory|bad_alloc", RegexOptions.IgnoreCase)]
    private static partial Regex Native();

    [GeneratedRegex(@"tried to allocate (?<size>\d+(?=\s+bytes)|[\d.]+ [KMGT]iB)", RegexOptions.IgnoreCase)]
    private static partial Regex Size();
}
