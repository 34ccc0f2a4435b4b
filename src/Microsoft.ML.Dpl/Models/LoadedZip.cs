using System.Reflection;
using System.Runtime.ExceptionServices;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Loads a model zip with ML.NET and translates its exceptions, which do not name the file and hide the cause in inner
/// exceptions.</summary>
internal static class LoadedZip
{
    /// <param name="filePath">The zip.</param>
    /// <param name="load">Loads the zip.</param>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not a model or is damaged; the message names the file.</exception>
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
            // ML.NET wraps a component's exception once for each enclosing chain.
            while (cause is TargetInvocationException { InnerException: { } inner })
                cause = inner;
            // ML.NET throws FormatException for a file that is not a zip.
            if (cause is InvalidDataException or FormatException)
                throw new InvalidDataException($"The model zip '{shown}' cannot be loaded: {cause.Message}", cause);
            ExceptionDispatchInfo.Throw(cause);
            throw;
        }
    }

    /// <summary>The transformer itself or, for a chain, all of its transformers, recursively.</summary>
    public static IEnumerable<ITransformer> Parts(ITransformer model) =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [model];

    /// <summary>The only classifier among a model's parts; the other parts are disposed.</summary>
    /// <typeparam name="T">The classifier's type.</typeparam>
    /// <param name="model">The model; ownership passes to this method.</param>
    /// <param name="filePath">The zip that the model was loaded from.</param>
    /// <exception cref="InvalidDataException">The model has no such classifier, or several.</exception>
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
                ? $"The model zip '{shown}' holds no model of Differentiable Prompt Learning; it consists of "
                    + $"{string.Join(", ", parts.Select(part => part.GetType().Name))}. Load it with Model.Load."
                : $"The model zip '{shown}' holds {found.Length} models of Differentiable Prompt Learning: load it with Model.Load, and "
                    + "take the one you want out of the chain."
        );
    }
}
