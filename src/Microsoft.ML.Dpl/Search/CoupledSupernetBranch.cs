using Microsoft.ML.Dpl.Network;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Search;

/// <summary>
/// The image branch of a search whose first layers get their prompts and alphas from the text branch, so that both towers share one choice.
/// </summary>
internal sealed class CoupledSupernetBranch : SupernetBranch
{
    private readonly SupernetBranch _text;
    private readonly Coupling _coupling;

    private CoupledSupernetBranch(
        SupernetBranch text,
        Coupling coupling,
        IReadOnlyList<int> candidates,
        Tensor alphas,
        IReadOnlyList<Tensor> rows,
        bool nested
    )
        : base(candidates, alphas, rows, nested) => (_text, _coupling) = (text, coupling);

    /// <param name="text">Provides the prompts and alphas of the coupled layers; not owned, must outlive this branch.</param>
    /// <param name="coupling">The maps from the text prompts; owned.</param>
    /// <param name="rest">The image layers after the coupled ones, with alphas and prompts of their own; copied.</param>
    /// <param name="nested">Whether each candidate's prompt consists of the first rows of the longest candidate's.</param>
    public static CoupledSupernetBranch From(SupernetBranch text, Coupling coupling, SupernetBranch rest, bool nested) =>
        new(text, coupling, text.Candidates, rest.Alphas, rest.Rows, nested);

    public override IReadOnlyList<Parameter> PromptParameters => [.. _coupling.Parameters, .. base.PromptParameters];

    public override IReadOnlyList<Parameter> Parameters => [.. base.Parameters, .. _coupling.Parameters];

    public override Tensor AllAlphas()
    {
        using var noGrad = no_grad();
        return cat([_text.Alphas.narrow(0, 0, _coupling.Layers), Alphas], 0);
    }

    public override IReadOnlyList<LayerPrompt?> Layers(Func<Parameter, Tensor> stand) =>
        [
            .. _text
                .Layers(stand)
                .Take(_coupling.Layers)
                .Select((prompt, layer) => prompt! with { Rows = _coupling.Project(layer, prompt.Rows, stand) }),
            .. Rows.Count > 0 ? base.Layers(stand) : [],
        ];

    public override FixedBranch Choose(IReadOnlyList<int> lengths)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        int coupled = _coupling.Layers;
        using FixedBranch text = _text.Choose([.. lengths.Take(coupled), .. new int[_text.Rows.Count - coupled]]),
            rest = base.Choose([.. lengths.Skip(coupled)]);
        return new FixedBranch(
            [
                .. text.Rows.Take(coupled).Select((rows, layer) => rows is null ? null : _coupling.Project(layer, rows, each => each)),
                .. rest.Rows,
            ],
            Alphas.device
        );
    }

    public override void Dispose()
    {
        _coupling.Dispose();
        base.Dispose();
    }
}
