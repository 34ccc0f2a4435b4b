using System.Reflection;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Loading by ML.NET, whose exceptions name neither the file nor, outermost, the cause.</summary>
internal static class LoadedZip
{
    /// <param name="filePath">The zip.</param>
    /// <param name="load">Loads it.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is no model, or damaged; the message names the file.</exception>
    public static T Open<T>(string filePath, Func<T> load)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(filePath);
        string shown = ShownText.Escape(filePath);
        if (!File.Exists(filePath))
            throw new FileNotFoundException($"There is no model zip '{shown}'.", filePath);
        GitLfsPointer.Refuse(filePath);
        try
        {
            return load();
        }
        catch (Exception thrown)
        {
            Exception cause = thrown;
            // ML.NET wraps what a component throws once for each chain around it.
            while (cause is TargetInvocationException { InnerException: { } inner })
                cause = inner;
            // ML.NET calls a file that is no zip so.
            if (cause is InvalidDataException or FormatException)
                throw new InvalidDataException($"The model zip '{shown}' cannot be loaded: {cause.Message}", cause);
            ExceptionDispatchInfo.Throw(cause);
            throw;
        }
    }

    /// <summary>A transformer and, of a chain, all of its parts.</summary>
    public static IEnumerable<ITransformer> Parts(ITransformer model) =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [model];

    /// <summary>The one classifier among a model's parts; the others are disposed.</summary>
    /// <typeparam name="T">The classifier's type.</typeparam>
    /// <param name="model">Taken over.</param>
    /// <param name="filePath">The zip that it comes from.</param>
    /// <exception cref="InvalidDataException">There is none, or there are several.</exception>
    public static T Only<T>(ITransformer model, string filePath)
    {
        ITransformer[] parts = [.. Parts(model)];
        T[] found = [.. parts.OfType<T>()];
        foreach (IDisposable part in parts.OfType<IDisposable>())
            if (found.Length != 1 || !ReferenceEquals(part, found[0]))
                part.Dispose();
        if (found is [var only])
            return only;
        string shown = ShownText.Escape(filePath);
        throw new InvalidDataException(
            found.Length == 0
                ? $"The model zip '{shown}' holds no model of Differentiable Prompt Learning; it is made of "
                    + $"{string.Join(", ", parts.Select(part => part.GetType().Name))}. Model.Load loads it."
                : $"The model zip '{shown}' holds {found.Length} models of Differentiable Prompt Learning: load it with Model.Load, and "
                    + "take the one that you mean out of the chain."
        );
    }
}
