using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The two kinds of label column.</summary>
internal enum LabelKind
{
    /// <summary>A key; the predicted label is a key with the same values.</summary>
    Key,

    /// <summary>Text; the predicted label is text.</summary>
    Text,
}

/// <summary>The classes in the order of the scores, and the type of the label column that they came from.</summary>
internal sealed class LabelClasses
{
    /// <param name="kind">The label column's kind.</param>
    /// <param name="names">One per class, neither blank nor repeated.</param>
    /// <param name="valueType">The type of the key's values; text for text labels.</param>
    /// <param name="source">The origin of the names, for exception messages.</param>
    /// <exception cref="InvalidOperationException">There are no classes, or a name is blank or repeated.</exception>
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
                throw new InvalidOperationException(
                    $"{source}: the class name '{names[i]}' occurs twice; names that differ only in how Unicode composes their accents "
                        + "are the same."
                );
        }
        (Kind, Names, ValueType) = (kind, names, valueType);
    }

    public LabelKind Kind { get; }

    public IReadOnlyList<string> Names { get; }

    public PrimitiveDataViewType ValueType { get; }

    public int Count => Names.Count;

    /// <summary>Other classes with the same kind of label column; their values keep the type if every name can be converted to it, and are
    /// text otherwise.</summary>
    /// <exception cref="InvalidOperationException">There are no classes, or a name is blank or repeated.</exception>
    public LabelClasses WithNames(IReadOnlyList<string> names)
    {
        bool areNamed = names.All(name => !string.IsNullOrWhiteSpace(name));
        string[] composed = [.. names.Select(name => areNamed ? ComposedText.Compose(name) : name)];
        return new(
            Kind,
            composed,
            areNamed && KeyValueAnnotation.Fit(composed, ValueType) ? ValueType : TextDataViewType.Instance,
            "The list of new classes"
        );
    }

    /// <summary>Class indices by name, both as in <see cref="Names"/> and in composed Unicode form.</summary>
    public IReadOnlyDictionary<string, int> Indices()
    {
        var indices = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < Count; i++)
            indices.Add(Names[i], i);
        // Models of earlier versions may contain names that are not composed, even two forms of the same name.
        for (int i = 0; i < Count; i++)
            indices.TryAdd(ComposedText.Compose(Names[i]), i);
        return indices;
    }

    /// <param name="name">A class name, in any Unicode normalisation form.</param>
    /// <exception cref="ArgumentException">There is no such class; the message lists the existing classes.</exception>
    public int IndexOf(string name)
    {
        IReadOnlyDictionary<string, int> indices = Indices();
        if (indices.TryGetValue(name, out int index) || indices.TryGetValue(ComposedText.Compose(name), out index))
            return index;
        throw new ArgumentException($"There is no class '{name}'. The classes are {string.Join(", ", Names.Select(n => $"'{n}'"))}.");
    }
}
