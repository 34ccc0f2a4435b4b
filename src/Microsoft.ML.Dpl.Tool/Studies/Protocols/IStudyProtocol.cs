using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>A protocol, which defines what is trained and what is tested.</summary>
internal interface IStudyProtocol
{
    /// <summary>The name used in plans.</summary>
    string Name { get; }

    /// <summary>Whether all runs train on one data set, the plan's source, and are also tested on the others.</summary>
    bool HasSource { get; }

    /// <summary>Whether a test has classes that were not trained on.</summary>
    bool AsksForNewClasses { get; }

    /// <summary>Divides the rows of a run into training, validation and tests.</summary>
    /// <param name="data">The data set to train on, with its rows after the few-shot draw.</param>
    /// <param name="targets">The other data sets to test on; empty without a source.</param>
    ProtocolSets Divide(DataRows data, IReadOnlyList<DataRows> targets);
}

/// <summary>A data set of the plan with its rows.</summary>
/// <param name="Data">The data set.</param>
/// <param name="Sets">Its rows.</param>
internal sealed record DataRows(PlanDataSet Data, ImageSets Sets)
{
    /// <summary>Returns the classes that have an image, in the data's order.</summary>
    /// <param name="rows">The rows to consider.</param>
    public IReadOnlyList<string> ClassesOf(IEnumerable<ImageRow> rows)
    {
        var there = rows.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        return [.. Sets.ClassesInOrder.Where(there.Contains)];
    }
}

/// <summary>The images of a run.</summary>
/// <param name="Classes">The classes to train, in the data's order.</param>
/// <param name="Train">Training rows of these classes.</param>
/// <param name="Validation">Validation rows of these classes; may be empty.</param>
/// <param name="Tests">The tests, at least one.</param>
internal sealed record ProtocolSets(
    IReadOnlyList<string> Classes,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    IReadOnlyList<ProtocolTest> Tests
);

/// <summary>Test images that are to be classified among given classes.</summary>
/// <param name="Name">Name in results and tables.</param>
/// <param name="Template">The template of a class's text, for methods that learn nothing; {} stands for the class name.</param>
/// <param name="Classes">The classes to choose from.</param>
/// <param name="Rows">Test rows of these classes.</param>
internal sealed record ProtocolTest(string Name, string Template, IReadOnlyList<string> Classes, IReadOnlyList<ImageRow> Rows);
