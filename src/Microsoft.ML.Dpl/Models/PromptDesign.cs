using System.Globalization;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Dpl;

/// <summary>How a model's prompts were built and trained where this departs from the plain method; see
/// <see cref="DplTrainer.DesignOptions"/>. This is for information only: everything that prediction needs is folded into the
/// model.</summary>
public sealed record PromptDesign
{
    [JsonConstructor]
    internal PromptDesign() { }

    /// <summary>How the layers' prompts were parameterised: <c>independent</c> or <c>coupled</c>.</summary>
    [JsonInclude]
    public string Prompts { get; internal init; } = "independent";

    /// <summary>The factor α of the task residual; null if there is none.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? TaskResidual { get; internal init; }

    /// <summary>The regularisers added to the loss, each as its name and weights, such as <c>KgCoOp 8</c>.</summary>
    [JsonInclude]
    public IReadOnlyList<string> Regularizers { get; internal init; } = [];

    /// <summary>Weight and temperature of ProGrad, such as <c>1 1</c>; null if it was not used.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ProGrad { get; internal init; }

    /// <summary>How the prompts were averaged over epochs, such as <c>gaussian 0.75 0.05</c>; null if they were not.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Average { get; internal init; }

    /// <summary>The CLIP that served as the teacher, if it was not the backbone itself; otherwise null.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Teacher { get; internal init; }

    /// <summary>The templates whose mean features the teacher used; null if it used only the model's template, or if there was no
    /// teacher.</summary>
    [JsonInclude]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? TeacherTemplates { get; internal init; }

    /// <summary>The design in one line.</summary>
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
