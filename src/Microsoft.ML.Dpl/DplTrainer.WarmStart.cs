using Microsoft.ML.Dpl.Fit;

namespace Microsoft.ML.Dpl;

// Training that starts from an earlier model.
public sealed partial class DplTrainer
{
    /// <summary>Continues training from an earlier model, for instance with more images of the same classes: the model's prompts, context,
    /// task residual and temperature are the initial values; <see cref="TrainingRecipe.Paper"/> has no temperature, and drops that of the
    /// model with a warning. A model without a task residual gets one only if <see cref="DesignOptions.TaskResidual"/> is set. There is no
    /// search or comparison; the prompt lengths are those of the model.</summary>
    /// <param name="input">Training data as for <see cref="Fit(IDataView)"/>, with the same classes as the model in the same order.</param>
    /// <param name="initial">The model to start from, with the same <see cref="Options.Backbone"/>; not changed, and still owned by the
    /// caller.</param>
    /// <returns>A new classifier. The caller disposes it.</returns>
    /// <inheritdoc cref="Fit(IDataView)" path="/exception"/>
    /// <exception cref="ArgumentException">The model has a different CLIP, a mixture or no prompts, or its prompts do not match
    /// <see cref="Options.Configuration"/> or <see cref="Options.Design"/>.</exception>
    /// <exception cref="InvalidOperationException">The data has different classes, or the same ones in a different order.</exception>
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
            throw Refused("its layers mix candidates (Search.Result = Mixture), which only a search can continue with");
        bool learnsBeside = initial.Context is not null || initial.HasTaskResidual || _options.Design.TaskResidual > 0;
        if (initial.Configuration.IsZeroShot && !learnsBeside)
            throw Refused("it is zero-shot CLIP and has no prompts");
        if (initial.HasTaskResidual && _options.TaskResidual is null)
            throw Refused("it has a task residual, and with these options there is none: set Design.TaskResidual above 0");
        if (_options.Configuration is { } given && !given.Equals(initial.Configuration))
            throw Refused($"its prompt lengths are {initial.Configuration}, but {nameof(Options.Configuration)} asks for {given}");
        if (_options.Design.Coupled)
            throw Refused("Design.Coupled computes the image prompts from the text prompts, and a model keeps only the result");
        if (LayoutOf(initial.Context) != LayoutOf(_options.Design.Context))
            throw Refused(
                "its context in the texts is not the one that Design.Context asks for: give the same length, position and ClassSpecific, "
                    + "or null where it has none"
            );
        bool setsAside = _options.Validation.RowsPerClass is not null || _options.Validation.Fraction is not null;
        bool validates = setsAside || _options.Validation.Set is not null;
        if (_options.Validation.Calibrate && !validates)
            throw new ArgumentException(
                "Validation.Calibrate needs validation rows, and none are set aside where training continues from a model: set "
                    + "Validation.Set, Validation.Fraction or Validation.RowsPerClass.",
                "Validation.Calibrate"
            );
        if (_options.Validation.Refit == true)
            throw new ArgumentException(
                "Validation.Refit trains the winner of a search once more, and there is no search where training continues from a model: "
                    + "leave it out, or leave out the validation rows so that all rows are trained on.",
                "Validation.Refit"
            );
        if (_options.Training.Patience is not null && !validates)
            throw new ArgumentException(
                "Training.Patience needs validation rows, and none are set aside where training continues from a model: set "
                    + "Validation.Set, Validation.Fraction or Validation.RowsPerClass.",
                "Training.Patience"
            );

        static ArgumentException Refused(string why) => new($"Training cannot continue from this model: {why}.", nameof(initial));

        // Lengths are not compared here: a context initialised from words is as long as their tokens, which is not known before tokenizing.
        static (ContextPosition, bool)? LayoutOf(PromptContext? context) =>
            context is null ? null : (context.Position, context.ClassSpecific);
    }
}

public sealed partial class DplTransformer
{
    /// <summary>Whether the model has a task residual, which is added to the classes' text features.</summary>
    internal bool HasTaskResidual => _prompts.Rows.ClassOffsets is not null;

    /// <summary>A copy of the values that further training starts from. The caller owns it.</summary>
    internal InitialPrompts ToInitial(Clip.ClipBackbone backbone) =>
        _scorer.Use(() =>
        {
            using Clip.Lease<Clip.TextWeights> text = backbone.RentTextTower(TorchSharp.torch.CPU);
            return new InitialPrompts(_prompts.Rows.Copy(), ClassNames, text.Value.LogitScale / _prompts.LogitScale);
        });
}
