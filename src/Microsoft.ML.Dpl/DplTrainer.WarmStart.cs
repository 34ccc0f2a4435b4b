using Microsoft.ML.Dpl.Fit;

namespace Microsoft.ML.Dpl;

// Training that goes on from an earlier model.
public sealed partial class DplTrainer
{
    /// <summary>Trains on from an earlier model, on more images of the same classes for instance: its prompts, its context, its
    /// task residual and its temperature are where the training begins; without a residual it gets one only where
    /// <see cref="DesignOptions.TaskResidual"/> is set. Nothing is searched or compared; the prompt lengths are the model's.</summary>
    /// <param name="input">As for <see cref="Fit(IDataView)"/>, with the model's classes in the model's order.</param>
    /// <param name="initial">Of the same <see cref="Options.Backbone"/>; stays the caller's, as it is.</param>
    /// <returns>A new classifier. The caller disposes it.</returns>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    /// <exception cref="ArgumentException">The model has another CLIP, a mixture, no prompts, or others than
    /// <see cref="Options.Configuration"/> or <see cref="Options.Design"/> ask for.</exception>
    /// <exception cref="InvalidOperationException">The data has other classes, or in another order.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public DplTransformer Fit(IDataView input, DplTransformer initial)
    {
        ArgumentNullException.ThrowIfNull(input);
        ArgumentNullException.ThrowIfNull(initial);
        _options.Validate();
        RequireGoesOn(initial);
        using InitialPrompts prompts = initial.ToInitial(_options.Backbone!);
        return Fit(input, prompts);
    }

    private void RequireGoesOn(DplTransformer initial)
    {
        if (!string.Equals(initial.Backbone.Sha256, _options.Backbone!.Sha256, StringComparison.OrdinalIgnoreCase))
            throw Refused(
                $"it was trained on the CLIP '{initial.Backbone.Name}' (weights' SHA-256 {initial.Backbone.Sha256}), but "
                    + $"{nameof(Options.Backbone)} is '{_options.Backbone.Name}' (SHA-256 {_options.Backbone.Sha256})"
            );
        if (initial.Mixture is not null)
            throw Refused("its layers mix candidates (Search.Result = Mixture), which only a search goes on with");
        bool learnsBeside = initial.Context is not null || initial.HasTaskResidual || _options.Design.TaskResidual > 0;
        if (initial.Configuration.IsZeroShot && !learnsBeside)
            throw Refused("it is zero-shot CLIP and has no prompts");
        if (initial.HasTaskResidual && _options.TaskResidual is null)
            throw Refused("it has a task residual, and with these options there is none: set Design.TaskResidual above 0");
        if (_options.Configuration is { } given && !given.Equals(initial.Configuration))
            throw Refused($"its prompt lengths are {initial.Configuration}, but {nameof(Options.Configuration)} asks for {given}");
        if (_options.Design.Coupled)
            throw Refused("Design.Coupled makes the image's prompts of the text's, and a model keeps what was made of them only");
        if (LayoutOf(initial.Context) != LayoutOf(_options.Design.Context))
            throw Refused(
                "its context in the texts is another than Design.Context asks for: give the same length, position and ClassSpecific, or "
                    + "null where it has none"
            );
        bool setsAside = _options.Validation.RowsPerClass is not null || _options.Validation.Fraction is not null;
        bool validates = setsAside || _options.Validation.Set is not null;
        if (_options.Validation.Calibrate && !validates)
            throw new ArgumentException(
                "Validation.Calibrate needs validation rows, and none are set aside where a training goes on from a model: set "
                    + "Validation.Set, Validation.Fraction or Validation.RowsPerClass.",
                "Validation.Calibrate"
            );
        if (_options.Training.Patience is not null && !validates)
            throw new ArgumentException(
                "Training.Patience needs validation rows, and none are set aside where a training goes on from a model: set "
                    + "Validation.Set, Validation.Fraction or Validation.RowsPerClass.",
                "Training.Patience"
            );

        static ArgumentException Refused(string why) => new($"A training cannot go on from this model: {why}.", nameof(initial));

        // A context that begins with words has their number for a length, which is not known before they are read.
        static (ContextPosition, bool)? LayoutOf(PromptContext? context) =>
            context is null ? null : (context.Position, context.ClassSpecific);
    }
}

public sealed partial class DplTransformer
{
    /// <summary>Whether something is added to the features of the classes' texts.</summary>
    internal bool HasTaskResidual => _prompts.Rows.ClassOffsets is not null;

    /// <summary>What a training goes on from, copied. The caller owns it.</summary>
    internal InitialPrompts ToInitial(Clip.ClipBackbone backbone) =>
        _scorer.Use(() =>
        {
            using Clip.Lease<Clip.TextWeights> text = backbone.RentTextTower(TorchSharp.torch.CPU);
            return new InitialPrompts(_prompts.Rows.Copy(), ClassNames, text.Value.LogitScale / _prompts.LogitScale);
        });
}
