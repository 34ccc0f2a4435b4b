using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Fit;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    // Validation of the design options, and their conversion to the engine's settings.
    public sealed partial class Options
    {
        /// <summary>Changes and additions to the cross-entropy loss; null if there are none.</summary>
        private ObjectiveSettings? Objective
        {
            get
            {
                IRegularizer[] regularizers =
                [
                    .. Design.KgCoOp is { } kgCoOp ? new[] { new KgCoOpLoss(kgCoOp.Weight) } : [],
                    .. Design.PromptSrc is { } source
                        ? new[] { new PromptSrcLoss(source.TextWeight, source.ImageWeight, source.LogitsWeight) }
                        : [],
                    .. Design.Regularizers,
                ];
                ProGradSettings? proGrad = Design.ProGrad is { } given ? new ProGradSettings(given.Weight, given.Temperature) : null;
                double smoothing = Training.LabelSmoothing ?? RecipeDefaults.For(Training.Recipe).LabelSmoothing;
                return regularizers.Length == 0 && proGrad is null && smoothing == 0
                    ? null
                    : new ObjectiveSettings
                    {
                        Regularizers = regularizers,
                        ProGrad = proGrad,
                        LabelSmoothing = smoothing,
                    };
            }
        }

        /// <summary>How prompts are parameterised; null for the paper's way.</summary>
        private DesignSettings? DesignSettings =>
            Design is { Prompts: IndependentPrompts, Context: null, Templates: null, Teacher: null } && TaskResidual is null
                ? null
                : new DesignSettings
                {
                    Prompts = Design.Prompts,
                    Context = Design.Context,
                    Templates = Design.Templates,
                    Teacher = Design.Teacher,
                    TaskResidual = TaskResidual,
                };

        /// <summary>The factor α of the task residual; null if there is none.</summary>
        internal double? TaskResidual
        {
            get
            {
                // Zero-shot CLIP and CoOp do not get a residual by default.
                bool hasPrompts = Configuration is not { IsZeroShot: true };
                double scale = Design.TaskResidual ?? (hasPrompts ? RecipeDefaults.For(Training.Recipe).TaskResidual : 0);
                return scale > 0 ? scale : null;
            }
        }

        private void RequireDesign(ClipBackbone backbone)
        {
            if (Design.Context is { } context)
                OptionChecks.RequireContext(context, backbone.Config, $"{nameof(Design)}.{nameof(Design.Context)}");
            if (Design.Templates is not null)
                ClipTemplates.Require(Design.Templates, $"{nameof(Design)}.{nameof(Design.Templates)}");
            if (Design.TaskResidual is double residual)
                OptionChecks.RequireSingle(residual >= 0, residual, "at least 0", $"{nameof(Design)}.{nameof(Design.TaskResidual)}");
            if (Design.KgCoOp is not null)
                OptionChecks.RequireSingle(Design.KgCoOp.Weight > 0, Design.KgCoOp.Weight, "above 0");
            if (Design.PromptSrc is not null)
            {
                OptionChecks.RequireSingle(Design.PromptSrc.TextWeight >= 0, Design.PromptSrc.TextWeight, "at least 0");
                OptionChecks.RequireSingle(Design.PromptSrc.ImageWeight >= 0, Design.PromptSrc.ImageWeight, "at least 0");
                OptionChecks.RequireSingle(Design.PromptSrc.LogitsWeight >= 0, Design.PromptSrc.LogitsWeight, "at least 0");
            }
            if (Design.ProGrad is not null)
            {
                OptionChecks.RequireSingle(Design.ProGrad.Weight > 0, Design.ProGrad.Weight, "above 0");
                OptionChecks.RequireSingle(Design.ProGrad.Temperature > 0, Design.ProGrad.Temperature, "above 0");
            }
            RequireTeacher();
            if (Configuration is not null && Design.Prompts.ProblemOf(Configuration) is { } problem)
                throw new ArgumentException(
                    $"{nameof(Configuration)} does not fit {nameof(Design)}.{nameof(Design.Coupled)}: {problem}.",
                    nameof(Configuration)
                );
        }

        private void RequireTeacher()
        {
            const string teacher = $"{nameof(Design)}.{nameof(Design.Teacher)}";
            if (Design.Teacher is null)
                return;
            if (!Design.Teacher.HasTextTower)
                throw new ArgumentException(
                    $"{teacher}: the CLIP '{Design.Teacher.Name}' came in a model zip that carries its image tower only, but a teacher "
                        + "needs the text tower: open CLIP's folder.",
                    teacher
                );
            if (Training.DistillationWeight == 0 && Design.ProGrad is null && Design.Regularizers.All(each => each.ComparesFeatures))
                throw new ArgumentException(
                    $"{teacher} is set, but nothing uses its logits: set {nameof(Training)}.{nameof(Training.DistillationWeight)} or "
                        + $"{nameof(Design)}.{nameof(Design.ProGrad)}. Features of two CLIPs cannot be compared.",
                    teacher
                );
        }
    }
}
