using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>
    /// How prompts are parameterised, trained and regularised towards CLIP's knowledge; see <see cref="Options.Design"/>. With all of these
    /// options the search still decides how many rows each layer uses: its alphas follow the validation cross-entropy, and terms added to
    /// the loss affect only the prompts.
    /// </summary>
    public sealed class DesignOptions
    {
        internal DesignOptions() { }

        /// <summary>Whether image prompts are linear functions of the text prompts of the same layer, as in MaPLe (Khattak et al., CVPR
        /// 2023, arXiv 2210.03117). Both towers then have the same prompt length in each layer. If the towers have different numbers of
        /// layers, the first layers of both are coupled and the rest are independent.</summary>
        public bool Coupled
        {
            get => Prompts is CoupledPrompts;
            set => Prompts = value ? new CoupledPrompts() : new IndependentPrompts();
        }

        /// <summary>Learned vectors in the input of the text tower; null to use the words of the <see cref="Options.Template"/>. With a
        /// <see cref="Options.Configuration"/> whose lengths are all 0, this is CoOp.</summary>
        public PromptContext? Context { get; set; }

        /// <summary>
        /// Templates for a class's text, each containing <c>{}</c> once, whose features are averaged for the teacher, for zero-shot CLIP,
        /// and for the model itself if it has no text prompts. Null: only <see cref="Options.Template"/> is used.
        /// <see cref="ClipTemplates"/> has OpenAI's templates and those of well-known data sets.
        /// </summary>
        public IReadOnlyList<string>? Templates { get; set; }

        /// <summary>
        /// Factor α, at least 0, of a learned vector r that is added to the text feature of each class (TaskRes, Yu et al., CVPR 2023,
        /// arXiv 2211.10277): a class feature is unit(t + α · r / √embedding), where t is the unit-norm feature of its text with all
        /// prompts. It learns visual properties of a class that no text expresses, at no noticeable cost per step. 0: no residual. Null:
        /// 16, but 0 with <see cref="TrainingRecipe.Paper"/> or if all lengths of a <see cref="Options.Configuration"/> are 0, which is
        /// zero-shot CLIP or, with a <see cref="Context"/>, CoOp. With all lengths 0 and a value above 0, this is plain TaskRes.
        /// </summary>
        public double? TaskResidual { get; set; }

        /// <summary>Regularises class features towards the teacher's; null for none.</summary>
        public KgCoOp? KgCoOp { get; set; }

        /// <summary>Regularises features and probabilities towards the teacher's; null for none.</summary>
        public PromptSrc? PromptSrc { get; set; }

        /// <summary>Removes from every gradient the component that conflicts with the teacher; null to disable. Costs a second forward and
        /// backward pass.</summary>
        public ProGrad? ProGrad { get; set; }

        /// <summary>How the prompts are averaged over the training epochs; null for no average.</summary>
        public EpochAverage? Average { get; set; }

        /// <summary>Another CLIP, such as a larger one, whose probabilities are the target for
        /// <see cref="TrainingOptions.DistillationWeight"/> and <see cref="ProGrad"/>. It encodes every training image once, from the copy
        /// that is cached in memory for the backbone, reduced to the resolution that its crops need. Null: the
        /// <see cref="Options.Backbone"/> without prompts.</summary>
        public ClipBackbone? Teacher { get; set; }

        /// <summary>How the layers' prompts are parameterised.</summary>
        internal IPromptDesign Prompts { get; set; } = new IndependentPrompts();

        /// <summary>Regularisers in addition to those with their own options.</summary>
        internal List<IRegularizer> Regularizers { get; } = [];
    }
}

/// <summary>KgCoOp (Yao, Zhang, Xu, CVPR 2023, arXiv 2303.13283): adds weight · (1 − c) to the loss, where c is the mean cosine similarity
/// between each class's feature and the teacher's.</summary>
public sealed record KgCoOp
{
    /// <summary>The weight, above 0; 8 in the paper.</summary>
    public double Weight { get; init; } = 8;
}

/// <summary>The self-regulating losses of PromptSRC (Khattak et al., ICCV 2023, arXiv 2307.06948). The paper also uses a Gaussian average
/// over epochs (<see cref="EpochAverage.Gaussian"/>) and averages the teacher's text features over 60 templates.</summary>
public sealed record PromptSrc
{
    /// <summary>Weight of the mean absolute difference of class features, at least 0; 25 in the paper.</summary>
    public double TextWeight { get; init; } = 25;

    /// <summary>Weight of the mean absolute difference of image features, at least 0; 10 in the paper.</summary>
    public double ImageWeight { get; init; } = 10;

    /// <summary>Weight of the KL divergence from the teacher's probabilities, divided by the number of logits, at least 0; 1 in the
    /// paper.</summary>
    public double LogitsWeight { get; init; } = 1;
}

/// <summary>ProGrad (Zhu, Niu, Han, Wu, Zhang, ICCV 2023, arXiv 2205.14865): if the gradient conflicts with that of the KL divergence from
/// the teacher's probabilities, the conflicting component is removed.</summary>
public sealed record ProGrad
{
    /// <summary>The fraction λ of the conflicting component that is removed, above 0; 1 in the paper.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>The temperature by which the logits are divided in the divergence, above 0; 1 in the paper.</summary>
    public double Temperature { get; init; } = 1;
}
