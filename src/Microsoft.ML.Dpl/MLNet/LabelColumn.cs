using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>The column with each row's true class, after lookup and checks.</summary>
internal sealed class LabelColumn
{
    // Without key values, numbers serve as names; a count above this limit is the range of the key type rather than a number of classes.
    private const ulong MostUnnamedClasses = 10_000;

    private LabelColumn(DataViewSchema.Column column, LabelKind kind) => (Column, Kind) = (column, kind);

    public DataViewSchema.Column Column { get; }

    public LabelKind Kind { get; }

    /// <summary>Whether the classes have names; false for a key without values.</summary>
    public bool IsNamed => Kind == LabelKind.Text || Column.Annotations.Schema.GetColumnOrNull(KeyValueAnnotation.Name) is not null;

    /// <exception cref="ArgumentOutOfRangeException">The column is missing or neither a key nor text.</exception>
    public static LabelColumn Find(DataViewSchema schema, string name)
    {
        if (schema.GetColumnOrNull(name) is not { } column)
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        return column.Type switch
        {
            KeyDataViewType => new LabelColumn(column, LabelKind.Key),
            TextDataViewType => new LabelColumn(column, LabelKind.Text),
            _ => throw Unsuitable(nameof(schema), name, $"{column.Type}"),
        };
    }

    /// <summary>Makes the same checks on an estimator's input schema shape.</summary>
    /// <returns>The label's kind and the type that the predicted label's values will have.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or neither a key nor text.</exception>
    public static (LabelKind Kind, PrimitiveDataViewType ValueType) Check(SchemaShape schema, string name)
    {
        if (!schema.Any(c => c.Name == name))
            throw Missing(nameof(schema), name, schema.Select(c => c.Name));
        SchemaShape.Column column = schema.First(c => c.Name == name);
        bool isScalar = column.Kind == SchemaShape.Column.VectorKind.Scalar;
        if (isScalar && column.IsKey)
        {
            DataViewType? values = column
                .Annotations.Where(a => a.Name == KeyValueAnnotation.Name)
                .Select(a => a.ItemType)
                .FirstOrDefault();
            return (LabelKind.Key, values is null ? TextDataViewType.Instance : KeyValueAnnotation.TypeToKeep(values));
        }
        if (isScalar && column.ItemType is TextDataViewType)
            return (LabelKind.Text, TextDataViewType.Instance);
        throw Unsuitable(nameof(schema), name, $"{(isScalar ? "" : "Vector of ")}{(column.IsKey ? "Key of " : "")}{column.ItemType}");
    }

    /// <summary>
    /// The classes. For a key: its values in key order, or "0", "1", … if it has none, which are the numbers in files and row classes, one
    /// below the raw key values. For text: the distinct names in ordinal order, as with <c>MapValueToKey</c> by value, independent of the
    /// order of the rows; this takes one pass over this column only.
    /// </summary>
    /// <exception cref="InvalidOperationException">A name is blank, there are no names, or there are no rows with text labels.</exception>
    public LabelClasses ReadClasses(IDataView data, Action? checkAlive = null)
    {
        string source = $"Label column '{Column.Name}'";
        if (Kind == LabelKind.Text)
            return new LabelClasses(Kind, DistinctNames(data, checkAlive), TextDataViewType.Instance, source);

        var type = (KeyDataViewType)Column.Type;
        if (KeyValueAnnotation.Read(Column) is { } names)
        {
            if ((ulong)names.Length != type.Count)
                throw new InvalidOperationException($"{source} is a key of {type.Count} values but {names.Length} are named.");
            var values = (VectorDataViewType)Column.Annotations.Schema[KeyValueAnnotation.Name].Type;
            return new LabelClasses(Kind, [.. names.Select(ComposedText.Compose)], KeyValueAnnotation.TypeToKeep(values.ItemType), source);
        }
        if (type.Count > MostUnnamedClasses)
            throw new InvalidOperationException(
                $"{source} is a key of {type.Count} values without names. Make it with Conversion.MapValueToKey, so that it names its "
                    + "classes."
            );
        return new LabelClasses(
            Kind,
            Enumerable.Range(0, (int)type.Count).Select(i => i.ToString(CultureInfo.InvariantCulture)).ToArray(),
            TextDataViewType.Instance,
            source
        );
    }

    /// <summary>Creates a reader for the class index, from 0, at a row's current position. Classes are matched by name, so the column may
    /// list them in a different order.</summary>
    /// <param name="row">A row or cursor in which the column is active.</param>
    /// <param name="classes">The classes that the index refers to: this column's own, or those of the training data.</param>
    public Func<int> CreateReader(DataViewRow row, LabelClasses classes)
    {
        DataViewSchema.Column column = row.Schema[Column.Index];
        IReadOnlyDictionary<string, int> indices = classes.Indices();
        Func<string> name = Kind == LabelKind.Text ? TextReader(row, column) : KeyReader(row, column);
        return () =>
        {
            string found = name();
            if (indices.TryGetValue(found, out int index) || indices.TryGetValue(ComposedText.Compose(found), out index))
                return index;
            throw new InvalidOperationException(
                $"Row {row.Position} (counted from 0): label '{found}' is not among the {classes.Count} classes of the training data."
            );
        };
    }

    private static Func<string> TextReader(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<ReadOnlyMemory<char>> get = row.GetGetter<ReadOnlyMemory<char>>(column);
        ReadOnlyMemory<char> text = default;
        return () =>
        {
            get(ref text);
            return text.Span.IsWhiteSpace() ? throw Unlabelled(row, column) : text.ToString();
        };
    }

    private Func<string> KeyReader(DataViewRow row, DataViewSchema.Column column)
    {
        string[]? names = KeyValueAnnotation.Read(Column);
        Func<ulong> key = Type.GetTypeCode(column.Type.RawType) switch
        {
            TypeCode.Byte => KeyReader<byte>(row, column),
            TypeCode.UInt16 => KeyReader<ushort>(row, column),
            TypeCode.UInt32 => KeyReader<uint>(row, column),
            _ => KeyReader<ulong>(row, column),
        };
        return () =>
        {
            ulong value = key();
            if (value == 0)
                throw Unlabelled(row, column);
            return names is not null && value <= (ulong)names.Length
                ? names[value - 1]
                : (value - 1).ToString(CultureInfo.InvariantCulture);
        };
    }

    private static Func<ulong> KeyReader<T>(DataViewRow row, DataViewSchema.Column column)
        where T : struct, IConvertible
    {
        ValueGetter<T> get = row.GetGetter<T>(column);
        T value = default;
        return () =>
        {
            get(ref value);
            return value.ToUInt64(CultureInfo.InvariantCulture);
        };
    }

    private string[] DistinctNames(IDataView data, Action? checkAlive)
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        using DataViewRowCursor cursor = data.GetRowCursor([data.Schema[Column.Index]]);
        Func<string> name = TextReader(cursor, data.Schema[Column.Index]);
        while (cursor.MoveNext())
        {
            checkAlive?.Invoke();
            names.Add(ComposedText.Compose(name()));
        }
        return names.Count > 0 ? [.. names] : throw NoRows();
    }

    /// <summary>The exception for training data without rows.</summary>
    public static InvalidOperationException NoRows() => new("The training data has no rows. Check the path and the filters applied to it.");

    private static InvalidOperationException Unlabelled(DataViewRow row, DataViewSchema.Column column) =>
        new(
            $"Row {row.Position} (counted from 0) has no label in column '{column.Name}'. Filter such rows out, for example with "
                + "FilterRowsByMissingValues."
        );

    private static ArgumentOutOfRangeException Missing(string parameter, string name, IEnumerable<string> present) =>
        new(parameter, $"There is no label column '{name}'; the columns are: {string.Join(", ", present)}.");

    private static ArgumentOutOfRangeException Unsuitable(string parameter, string name, string type) =>
        new(
            parameter,
            $"Label column '{name}' is of type {type}. It must be a key or text: turn it into a key with Conversion.MapValueToKey."
        );
}
