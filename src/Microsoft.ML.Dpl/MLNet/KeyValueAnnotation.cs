using System.Globalization;
using System.Reflection;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>Converts key values to class names, and class names back to values of the same type.</summary>
internal static class KeyValueAnnotation
{
    public const string Name = "KeyValues";

    private static readonly PrimitiveDataViewType[] Kept =
    [
        TextDataViewType.Instance,
        BooleanDataViewType.Instance,
        NumberDataViewType.SByte,
        NumberDataViewType.Byte,
        NumberDataViewType.Int16,
        NumberDataViewType.UInt16,
        NumberDataViewType.Int32,
        NumberDataViewType.UInt32,
        NumberDataViewType.Int64,
        NumberDataViewType.UInt64,
        NumberDataViewType.Single,
        NumberDataViewType.Double,
    ];

    /// <summary>The value type of the predicted label: the label column's own type, or text for types without an exact round trip through
    /// text.</summary>
    public static PrimitiveDataViewType TypeToKeep(DataViewType itemType) =>
        Kept.FirstOrDefault(t => t.Equals(itemType)) ?? TextDataViewType.Instance;

    /// <summary>The number that a model zip stores for a type in <see cref="Kept"/>. New types must be added at the end.</summary>
    public static int CodeOf(PrimitiveDataViewType type) => Array.IndexOf(Kept, type);

    /// <exception cref="InvalidDataException">No type has this number.</exception>
    public static PrimitiveDataViewType TypeOf(int code) =>
        code >= 0 && code < Kept.Length
            ? Kept[code]
            : throw new InvalidDataException(
                $"The model's class values are of the unknown kind {code}: it was written by a newer version, or is damaged."
            );

    /// <param name="name">The <c>ToString</c> form of the type, such as <c>String</c>.</param>
    /// <exception cref="FormatException">No type has this name.</exception>
    public static PrimitiveDataViewType TypeNamed(string name) =>
        Kept.FirstOrDefault(type => type.ToString() == name)
        ?? throw new FormatException(
            $"'{name}' is not a type of class values; there are {string.Join(", ", Kept.Select(type => type.ToString()))}."
        );

    /// <summary>Whether every name can be converted to the type; always true for the names and type of a label column.</summary>
    public static bool Fit(IEnumerable<string> names, PrimitiveDataViewType type)
    {
        try
        {
            foreach (string name in names)
                if (type is not TextDataViewType)
                    _ = Convert.ChangeType(name, type.RawType, CultureInfo.InvariantCulture);
            return true;
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            return false;
        }
    }

    /// <summary>The values as text, in key order; null if the column has no such annotation.</summary>
    public static string[]? Read(DataViewSchema.Column column)
    {
        if (column.Annotations.Schema.GetColumnOrNull(Name)?.Type is not VectorDataViewType type)
            return null;
        return Generic(nameof(ReadAs), type.ItemType.RawType)
            .CreateDelegate<Func<DataViewSchema.Annotations, string[]>>()(column.Annotations);
    }

    /// <summary>Adds a vector of class values under the given annotation name.</summary>
    public static void Add(
        DataViewSchema.Annotations.Builder builder,
        string annotation,
        IReadOnlyList<string> names,
        PrimitiveDataViewType type
    ) =>
        Generic(nameof(AddAs), type.RawType)
            .CreateDelegate<Action<DataViewSchema.Annotations.Builder, string, IReadOnlyList<string>, PrimitiveDataViewType>>()(
                builder,
                annotation,
                names,
                type
            );

    private static MethodInfo Generic(string name, Type argument) =>
        typeof(KeyValueAnnotation).GetMethod(name, BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(argument);

    private static string[] ReadAs<T>(DataViewSchema.Annotations annotations)
    {
        VBuffer<T> values = default;
        annotations.GetValue(Name, ref values);
        return values.DenseValues().Select(v => Convert.ToString(v, CultureInfo.InvariantCulture) ?? "").ToArray();
    }

    private static void AddAs<T>(
        DataViewSchema.Annotations.Builder builder,
        string annotation,
        IReadOnlyList<string> names,
        PrimitiveDataViewType type
    )
    {
        T[] values = names
            .Select(n =>
                typeof(T) == typeof(ReadOnlyMemory<char>)
                    ? (T)(object)n.AsMemory()
                    : (T)Convert.ChangeType(n, typeof(T), CultureInfo.InvariantCulture)
            )
            .ToArray();
        ValueGetter<VBuffer<T>> get = (ref VBuffer<T> target) =>
        {
            VBufferEditor<T> editor = VBufferEditor.Create(ref target, values.Length);
            values.CopyTo(editor.Values);
            target = editor.Commit();
        };
        builder.Add(annotation, new VectorDataViewType(type, values.Length), get);
    }
}
