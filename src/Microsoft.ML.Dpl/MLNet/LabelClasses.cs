using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The two kinds of label column.</summary>
internal enum LabelKind
{
    /// <summary>A key; the predicted label is a key with the same values.</summary>
    Key,

    /// <summary>Text; the predicted label is text.</summary>
    Text,
}

/// <summary>The classes in the order of the scores, and how the label column spelt them.</summary>
internal sealed class LabelClasses
{
    /// <param name="kind">The label column's kind.</param>
    /// <param name="names">One per class, neither blank nor repeated.</param>
    /// <param name="valueType">The type of the key's values; text for text labels.</param>
    /// <param name="source">What the message names as the origin.</param>
    /// <exception cref="InvalidOperationException">No class, or a blank or repeated name.</exception>
    public LabelClasses(LabelKind kind, IReadOnlyList<string> names, PrimitiveDataViewType valueType, string source)
    {
        if (names.Count == 0)
            throw new InvalidOperationException($"{source} has no classes.");
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < names.Count; i++)
        {
            if (string.IsNullOrWhiteSpace(names[i]))
                throw new InvalidOperationException(
                    $"{source}: class {i} (counted from 0) has a blank name. CLIP reads the names, so each class needs one."
                );
            if (!seen.Add(names[i]))
                throw new InvalidOperationException($"{source}: the class name '{names[i]}' occurs twice.");
        }
        (Kind, Names, ValueType) = (kind, names, valueType);
    }

    public LabelKind Kind { get; }

    public IReadOnlyList<string> Names { get; }

    public PrimitiveDataViewType ValueType { get; }

    public int Count => Names.Count;

    /// <summary>Other classes of the same kind of label column; their values are of the same type where every name can be, else
    /// text.</summary>
    /// <exception cref="InvalidOperationException">No class, or a blank or repeated name.</exception>
    public LabelClasses WithNames(IReadOnlyList<string> names) =>
        new(
            Kind,
            names,
            names.All(name => !string.IsNullOrWhiteSpace(name)) && KeyValueAnnotation.Fit(names, ValueType)
                ? ValueType
                : TextDataViewType.Instance,
            "The list of new classes"
        );

    /// <param name="name">A class, spelt as in <see cref="Names"/>.</param>
    /// <exception cref="ArgumentException">There is no such class; the message lists those there are.</exception>
    public int IndexOf(string name)
    {
        for (int i = 0; i < Names.Count; i++)
            if (Names[i] == name)
                return i;
        throw new ArgumentException($"There is no class '{name}'. The classes are {string.Join(", ", Names.Select(n => $"'{n}'"))}.");
    }
}
