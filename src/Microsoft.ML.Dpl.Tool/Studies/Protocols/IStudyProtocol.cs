using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Studies.Plan;

namespace Microsoft.ML.Dpl.Tool.Studies.Protocols;

/// <summary>What is trained, and what is tested.</summary>
internal interface IStudyProtocol
{
    /// <summary>As a plan writes it.</summary>
    string Name { get; }

    /// <summary>Whether all runs train on one data set, the plan's source, and the others are tested on.</summary>
    bool HasSource { get; }

    /// <summary>Whether a test has classes that were not trained.</summary>
    bool AsksForNewClasses { get; }

    /// <summary>Divides the rows of a run.</summary>
    /// <param name="data">What is trained on, with its rows, of which shots were drawn.</param>
    /// <param name="targets">What else is tested on; empty without a source.</param>
    ProtocolSets Divide(DataRows data, IReadOnlyList<DataRows> targets);
}

/// <summary>A data set of the plan with the rows that were read.</summary>
/// <param name="Data">The data set.</param>
/// <param name="Sets">Its rows.</param>
internal sealed record DataRows(PlanDataSet Data, ImageSets Sets)
{
    /// <summary>The classes that have an image, in the data's order.</summary>
    /// <param name="rows">Those that count.</param>
    public IReadOnlyList<string> ClassesOf(IEnumerable<ImageRow> rows)
    {
        var there = rows.Select(row => row.Label).ToHashSet(StringComparer.Ordinal);
        return [.. Sets.ClassesInOrder.Where(there.Contains)];
    }
}

/// <summary>The images of a run.</summary>
/// <param name="Classes">That are trained, in the data's order.</param>
/// <param name="Train">Of these classes.</param>
/// <param name="Validation">Likewise; may be empty.</param>
/// <param name="Tests">At least one.</param>
internal sealed record ProtocolSets(
    IReadOnlyList<string> Classes,
    IReadOnlyList<ImageRow> Train,
    IReadOnlyList<ImageRow> Validation,
    IReadOnlyList<ProtocolTest> Tests
);

/// <summary>Test images, told apart from among some classes.</summary>
/// <param name="Name">In results and tables.</param>
/// <param name="Template">The text of a class, for what learns nothing; {} stands for the name.</param>
/// <param name="Classes">That are told apart.</param>
/// <param name="Rows">Of these classes.</param>
internal sealed record ProtocolTest(string Name, string Template, IReadOnlyList<string> Classes, IReadOnlyList<ImageRow> Rows);
