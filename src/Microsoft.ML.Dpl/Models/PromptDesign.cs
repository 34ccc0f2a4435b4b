using System.Globalization;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl;

/// <summary>What a model's prompts were made and trained with beside the plain method; see <see cref="DplTrainer.DesignOptions"/>. What its
/// predictions need is folded into the model.</summary>
public sealed record PromptDesign
{
    [JsonConstructor]
    internal PromptDesign() { }

    /// <summary>How the prompts of the layers were made: <c>independent</c> or <c>coupled</c>.</summary>
    [JsonInclude]
    public string Prompts { get; internal init; } = "independent";

    /// <summary>The factor α of the task residual; null: there is none.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? TaskResidual { get; internal init; }

    /// <summary>What was added to the loss, by name with its weights, such as <c>KgCoOp 8</c>.</summary>
    [JsonInclude]
    public IReadOnlyList<string> Regularizers { get; internal init; } = [];

    /// <summary>Weight and temperature of ProGrad, such as <c>1 1</c>; null: not used.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ProGrad { get; internal init; }

    /// <summary>How the prompts of the epochs were averaged, such as <c>gaussian 0.75 0.05</c>; null: they were not.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Average { get; internal init; }

    /// <summary>The CLIP whose probabilities training went by, where it was another one; else null.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Teacher { get; internal init; }

    /// <summary>The templates whose mean was the teacher's text; null: the model's template alone, or there was no teacher.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? TeacherTemplates { get; internal init; }

    /// <summary>All of it in one line.</summary>
    public override string ToString() =>
        string.Join(
            ", ",
            [
                $"{Prompts} prompts",
                .. TaskResidual is double scale ? new[] { string.Create(CultureInfo.InvariantCulture, $"task residual {scale}") } : [],
                .. Regularizers,
                .. ProGrad is null ? [] : new[] { $"ProGrad {ProGrad}" },
                .. Average is null ? [] : new[] { $"average {Average}" },
                .. Teacher is null ? [] : new[] { $"teacher {Teacher}" },
                .. TeacherTemplates is null ? [] : new[] { $"{TeacherTemplates.Count} teacher templates" },
            ]
        );
}
