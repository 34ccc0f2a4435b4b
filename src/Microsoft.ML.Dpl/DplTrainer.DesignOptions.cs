using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Training;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>
    /// How prompts are made, trained and kept near to what CLIP knows; see <see cref="Options.Design"/>. The search decides how many rows
    /// each layer uses under all of them: its alphas go by the validation cross-entropy, and what is added to the loss acts on the prompts.
    /// </summary>
    public sealed class DesignOptions
    {
        internal DesignOptions() { }

        /// <summary>Whether image prompts are linear functions of the text prompts of the same layer, as in MaPLe (Khattak et al., CVPR
        /// 2023, arXiv 2210.03117). Both towers then have one length in each layer. Where they have different numbers of layers, the first
        /// ones of both are coupled and the rest is independent.</summary>
        public bool Coupled
        {
            get => Prompts is CoupledPrompts;
            set => Prompts = value ? new CoupledPrompts() : new IndependentPrompts();
        }

        /// <summary>Learned vectors in the input of the text tower; null: the <see cref="Options.Template"/> is read. With a
        /// <see cref="Options.Configuration"/> whose lengths are all 0 this is CoOp.</summary>
        public PromptContext? Context { get; set; }

        /// <summary>
        /// Texts of a class, each with <c>{}</c> once, whose features are averaged: for the teacher, for zero-shot CLIP, and for the model
        /// itself where it has no text prompt. Null: the <see cref="Options.Template"/> alone. <see cref="ClipTemplates"/> has OpenAI's and
        /// those of known data sets.
        /// </summary>
        public IReadOnlyList<string>? Templates { get; set; }

        /// <summary>
        /// Factor α, at least 0, of a learned vector beside the text feature of each class (TaskRes, Yu et al., CVPR 2023, arXiv
        /// 2211.10277): a class feature is unit(t + α · r / √embedding), t being the unit feature of its text with all prompts. It learns
        /// what the images show of a class and no text says, and costs a step nothing. 0: there is none. Null: 16; 0 with
        /// <see cref="TrainingRecipe.Paper"/>, and where all lengths of a <see cref="Options.Configuration"/> are 0, which is zero-shot CLIP, or
        /// with a <see cref="Context"/> CoOp. With such lengths and a value above 0 this is TaskRes alone.
        /// </summary>
        public double? TaskResidual { get; set; }

        /// <summary>Keeps class features near to the teacher's; null: does not.</summary>
        public KgCoOp? KgCoOp { get; set; }

        /// <summary>Keeps features and probabilities near to the teacher's; null: does not.</summary>
        public PromptSrc? PromptSrc { get; set; }

        /// <summary>Takes out of every step what goes against the teacher; null: does not. Costs a second forward and backward
        /// pass.</summary>
        public ProGrad? ProGrad { get; set; }

        /// <summary>How the prompts of all epochs of training are averaged; null: they are not.</summary>
        public EpochAverage? Average { get; set; }

        /// <summary>Another CLIP, such as a larger one, whose probabilities <see cref="TrainingOptions.DistillationWeight"/> and
        /// <see cref="ProGrad"/> go by. It looks at every training image once, as that is kept in memory for the backbone: reduced to what
        /// its crops need. Null: the <see cref="Options.Backbone"/> without
        /// prompts.</summary>
        public ClipBackbone? Teacher { get; set; }

        /// <summary>How the prompts of the layers are made.</summary>
        internal IPromptDesign Prompts { get; set; } = new IndependentPrompts();

        /// <summary>Regularisers beside those with options of their own.</summary>
        internal List<IRegularizer> Regularizers { get; } = [];
    }
}

/// <summary>KgCoOp (Yao, Zhang, Xu, CVPR 2023, arXiv 2303.13283): adds weight · (1 − the mean cosine of each class's feature and the
/// teacher's) to the loss.</summary>
public sealed record KgCoOp
{
    /// <summary>Above 0; 8 in the paper.</summary>
    public double Weight { get; init; } = 8;
}

/// <summary>The self-regulating losses of PromptSRC (Khattak et al., ICCV 2023, arXiv 2307.06948). The paper adds a Gaussian average
/// (<see cref="EpochAverage.Gaussian"/>) and averages the teacher's texts over 60 templates.</summary>
public sealed record PromptSrc
{
    /// <summary>Weight of the mean absolute difference of class features, at least 0; 25 in the paper.</summary>
    public double TextWeight { get; init; } = 25;

    /// <summary>Weight of the mean absolute difference of image features, at least 0; 10 in the paper.</summary>
    public double ImageWeight { get; init; } = 10;

    /// <summary>Weight of the KL divergence from the teacher's probabilities divided by the number of logits, at least 0; 1 in the
    /// paper.</summary>
    public double LogitsWeight { get; init; } = 1;
}

/// <summary>ProGrad (Zhu, Niu, Han, Wu, Zhang, ICCV 2023, arXiv 2205.14865): where the gradient goes against that of the KL divergence from
/// the teacher's probabilities, that part of it is taken out.</summary>
public sealed record ProGrad
{
    /// <summary>The share λ that is taken out, above 0; 1 in the paper.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>What logits are divided by in the divergence, above 0; 1 in the paper.</summary>
    public double Temperature { get; init; } = 1;
}
