using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>Asserts that schemas are equal, including annotations.</summary>
internal static class SchemaAssert
{
    public static void Equal(SchemaShape promised, SchemaShape delivered) => Assert.Equal(Lines(promised, ""), Lines(delivered, ""));

    public static void Equal(DataViewSchema expected, DataViewSchema found)
    {
        Assert.Equal(expected.Select(c => (c.Name, c.Type, c.IsHidden)), found.Select(c => (c.Name, c.Type, c.IsHidden)));
        foreach ((DataViewSchema.Column one, DataViewSchema.Column other) in expected.Zip(found))
        {
            Assert.Equal(one.Annotations.Schema.Select(a => (a.Name, a.Type)), other.Annotations.Schema.Select(a => (a.Name, a.Type)));
            foreach (
                DataViewSchema.Column annotation in one.Annotations.Schema.Where(a =>
                    a.Type is VectorDataViewType { ItemType: TextDataViewType }
                )
            )
                Assert.Equal(Names(one, annotation.Name), Names(other, annotation.Name));
        }
    }

    private static IEnumerable<string> Names(DataViewSchema.Column column, string annotation)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.Annotations.GetValue(annotation, ref names);
        return names.DenseValues().Select(n => n.ToString());
    }

    private static IEnumerable<string> Lines(SchemaShape shape, string indent) =>
        shape
            .OrderBy(c => c.Name, StringComparer.Ordinal)
            .SelectMany(c =>
                Lines(c.Annotations, indent + "  ").Prepend($"{indent}{c.Name} {c.Kind} {(c.IsKey ? "key " : "")}{c.ItemType}")
            );
}
