using Microsoft.ML.Dpl.Data;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Optimization;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Optimization;
using Microsoft.ML.Dpl.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Training;

/// <summary>Compares CoOp, KgCoOp, ProGrad, PromptSRC's losses and averages, and MaPLe's coupling with their authors' code.</summary>
public class GoldenDesignTests
{
    private const double Values = 1e-4,
        Gradients = 1e-3,
        Runs = 1e-3;

    public static TheoryData<string> CoOp => DesignCase.Names("coop", name => name != "train");
    public static TheoryData<string> CoOpWords => DesignCase.Names("coop", name => name.StartsWith("words", StringComparison.Ordinal));
    public static TheoryData<string> KgCoOp => DesignCase.Names("kgcoop", name => name != "train");
    public static TheoryData<string> ProGrad => DesignCase.Names("prograd", name => name != "train");
    public static TheoryData<string> Coupled => DesignCase.Names("maple", name => name != "train");
    public static TheoryData<string> CoOpRuns => DesignCase.Names("coop", name => name == "train");
    public static TheoryData<string> KgCoOpRuns => DesignCase.Names("kgcoop", name => name == "train");
    public static TheoryData<string> ProGradRuns => DesignCase.Names("prograd", name => name == "train");
    public static TheoryData<string> PromptSrcLosses => DesignCase.Names("promptsrc", name => name == "losses");
    public static TheoryData<string> Averages => DesignCase.Names("promptsrc", name => name == "aggregation");
    public static TheoryData<string> Weights => DesignCase.Names("promptsrc", name => name == "gaussian-weights");

    [Theory]
    [MemberData(nameof(CoOp))]
    public void A_context_stands_where_CoOp_puts_it(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("coop", name);
        int[][] expected = GoldenDesign.Rows(golden["output.layout"]),
            actual = golden.Arranged();
        ContextLayout layout = golden.Layout();
        for (int k = 0; k < expected.Length; k++)
            // In the file each class numbers its own vectors from 0.
            Assert.Equal(expected[k].Select(id => id < 0 && layout.ClassSpecific ? id - k * layout.Length : id), actual[k]);
    }

    [Theory]
    [MemberData(nameof(CoOpWords))]
    public void A_context_of_words_begins_with_their_embeddings(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("coop", name);
        ContextLayout layout = golden.Layout();
        Tensor embeddings = golden.Text.TokenEmbedding.index_select(
            0,
            tensor(golden.Words(golden.Said("context_words")), ScalarType.Int64)
        );
        using Generator generator = Seeds.Generator(1, "unused");
        using InputContext context = InputContext.Create(
            layout,
            GoldenDesign.Rows(golden["input.tokens"]).Length,
            golden.Config.Text.Width,
            embeddings,
            PromptDistribution.Normal(1),
            generator,
            CPU
        );
        Close.Relative(golden["init.context"].reshape(context.Vectors.shape), context.Vectors, 1e-6, "words");
    }

    [Theory]
    [MemberData(nameof(CoOp))]
    public void CoOp_forward_and_backward(string name)
    {
        foreach (int workers in (int[])[0, 1, 2, 3])
        {
            using var scope = NewDisposeScope();
            using var golden = new DesignCase("coop", name);
            using var model = new ContextModel(golden, "prompts.context", workers);
            using (no_grad())
            {
                using var backward = new Dpl.Attention.BackwardTensors();
                ClipOutputs outputs = model.Outputs(golden["input.images"], backward);
                Close.Relative(PromptedClip.UnitRows(golden["output.image_features"]), outputs.Image, Values, "image features");
                Close.Relative(PromptedClip.UnitRows(golden["output.text_features"]), outputs.Text, Values, "text features");
                Close.Relative(golden["output.logits"], outputs.Logits, Values, "logits");
            }
            Tensor gradient = model.Gradient(golden["input.images"], outputs =>
            {
                Tensor loss = Losses.CrossEntropy(outputs.Logits, golden["input.labels"]);
                Close.Relative(golden["output.loss"], loss.detach().reshape(1), Values, "loss");
                return loss;
            });
            Close.Relative(golden["grad.context"].reshape(gradient.shape), gradient, Gradients, $"gradient, {workers} workers");
        }
    }

    [Theory]
    [MemberData(nameof(KgCoOp))]
    public void KgCoOp_loss_and_gradient(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("kgcoop", name);
        using var model = new ContextModel(golden, "prompts.context");
        double weight = golden.Real("weight");
        var unit = new KgCoOpLoss(1);
        Close.Relative(golden["output.teacher_features"], model.TeacherText, Values, "teacher");
        var teacher = new ClipOutputs(model.TeacherText, empty(0), empty(0));
        Tensor images = golden["input.images"];
        Tensor CrossEntropy(ClipOutputs outputs) => Losses.CrossEntropy(outputs.Logits, golden["input.labels"]);
        Tensor Checked(string which, Tensor value)
        {
            Close.Relative(golden[$"output.{which}"], value.detach().reshape(1), Values, which);
            return value;
        }
        foreach (
            var (which, loss) in new (string, Func<ClipOutputs, Tensor>)[]
            {
                ("cross_entropy", CrossEntropy),
                ("score", outputs => unit.Loss(outputs, teacher, null)),
                ("loss", outputs => CrossEntropy(outputs) + new KgCoOpLoss(weight).Loss(outputs, teacher, null)),
            }
        )
            Close.Relative(
                golden[$"grad.{which}.context"],
                model.Gradient(images, outputs => Checked(which, loss(outputs))),
                Gradients,
                which
            );
    }

    [Theory]
    [MemberData(nameof(ProGrad))]
    public void ProGrad_takes_out_what_conflicts(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("prograd", name);
        using var model = new ContextModel(golden, "prompts.context");
        using Teacher teacher = Teacher.Create(model.Clip, model.TeacherText);
        double temperature = golden.Real("temperature"),
            weight = golden.Real("lambda");
        using var batch = new ImageBatch(golden["input.images"], golden["input.labels"]);
        Tensor taught = teacher.Outputs(batch, withImages: true).Logits;
        Close.Relative(golden["output.teacher_logits"], taught, Values, "teacher's logits");
        Tensor direct = model.Gradient(batch.Images, outputs => Losses.CrossEntropy(outputs.Logits, batch.Labels)),
            known = model.Gradient(batch.Images, outputs =>
                Losses.Distillation(taught / temperature, outputs.Logits / temperature) * temperature * temperature
            );
        Close.Relative(golden["grad.cross_entropy.context"], direct, Gradients, "cross-entropy");
        Close.Relative(golden["grad.kl.context"], known, Gradients, "KL");
        Close.Relative(golden["grad.projected.context"], direct - ProGradient.Conflict(direct, known) * weight, Gradients, "projected");
    }

    [Theory]
    [MemberData(nameof(PromptSrcLosses))]
    public void PromptSRC_losses_and_gradients(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("promptsrc", name);
        Tensor Leaf(string tensor) => golden[tensor].requires_grad_(true);
        Tensor text = Leaf("input.text_features"),
            image = Leaf("input.image_features"),
            logits = Leaf("input.logits");
        var student = new ClipOutputs(text, image, logits);
        var teacher = new ClipOutputs(
            golden["input.teacher_text_features"],
            golden["input.teacher_image_features"],
            golden["input.teacher_logits"]
        );
        double textWeight = golden.Real("text_weight"),
            imageWeight = golden.Real("image_weight");
        Tensor Loss(double ofText, double ofImage, double ofLogits) =>
            new PromptSrcLoss(ofText, ofImage, ofLogits).Loss(student, teacher, null);
        Close.Relative(golden["output.loss.text"], Loss(textWeight, 0, 0).detach().reshape(1), Values, "text");
        Close.Relative(golden["output.loss.image"], Loss(0, imageWeight, 0).detach().reshape(1), Values, "image");
        Close.Relative(golden["output.loss.logits"], Loss(0, 0, 1).detach().reshape(1), Values, "logits");
        Tensor all = Loss(textWeight, imageWeight, 1);
        Close.Relative(golden["output.loss.regularisers"], all.detach().reshape(1), Values, "all");
        all.backward();
        Close.Relative(golden["grad.text_features"], text.grad!, Gradients, "by text features");
        Close.Relative(golden["grad.image_features"], image.grad!, Gradients, "by image features");
        Close.Relative(golden["grad.logits"], logits.grad!, Gradients, "by logits");
    }

    [Theory]
    [MemberData(nameof(Weights))]
    public void Gaussian_weights(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("promptsrc", name);
        foreach (string setting in (string[])["base-to-new", "cross-data-set", "few-shot-most", "few-shot-fine-grained"])
        {
            if (!golden.Has($"output.weights.{setting}"))
                continue;
            double[] given = System.Text.Json.JsonSerializer.Deserialize<double[]>(golden.Said(setting))!;
            int epochs = (int)given[2];
            var weights = new EpochWeights.Gaussian(given[0] / epochs, given[1] / epochs);
            double[] all = [.. Enumerable.Range(1, epochs).Select(epoch => weights.At(epoch, epochs))];
            Close.Relative(
                golden[$"output.weights.{setting}"],
                tensor(all.Select(weight => (float)(weight / all.Sum())).ToArray()),
                Values,
                setting
            );
        }
    }

    [Theory]
    [MemberData(nameof(Averages))]
    public void Aggregated_prompts(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("promptsrc", name);
        int epochs = golden.Whole("epochs");
        string[] prompts =
        [
            .. from branch in (string[])["text", "image"]
            from layer in Enumerable.Range(0, 100)
            let tensor = $"prompts.{branch}.{layer}"
            where golden.Has($"input.{tensor}")
            select tensor,
        ];
        Assert.NotEmpty(prompts);
        Tensor[] values = [.. prompts.Select(prompt => golden[$"input.{prompt}"])];
        Parameter[] parameters = [.. values.Select(value => new Parameter(value[0].clone(), requires_grad: false))];
        using var average = new ParameterAverage(
            parameters,
            new EpochWeights.Gaussian(golden.Real("mean") / epochs, golden.Real("std") / epochs),
            epochs
        );
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            for (int i = 0; i < parameters.Length; i++)
                parameters[i].copy_(values[i][epoch]);
            average.Add(epoch);
        }
        average.Apply();
        for (int i = 0; i < parameters.Length; i++)
            Close.Relative(golden[$"output.{prompts[i]}"], parameters[i], Values, prompts[i]);
    }

    [Theory]
    [MemberData(nameof(Coupled))]
    public void Image_prompts_of_a_coupling(string name)
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase("maple", name);
        int depth = golden.Whole("depth");
        using var coupling = new Coupling(
            [.. Enumerable.Range(0, depth).Select(l => ((Tensor, Tensor)?)(golden[$"coupling.{l}.weight"], golden[$"coupling.{l}.bias"]))],
            CPU
        );
        for (int layer = 0; layer < depth; layer++)
            Close.Relative(
                golden[$"output.image_prompts.{layer}"],
                coupling.Project(layer, golden[$"prompts.text.{layer}"], parameter => parameter),
                Values,
                $"layer {layer}"
            );
    }

    [Theory]
    [MemberData(nameof(CoOpRuns))]
    public void CoOp_training(string name) => Run("coop", name, new ObjectiveSettings(), "output.losses", "output.losses");

    [Theory]
    [MemberData(nameof(KgCoOpRuns))]
    public void KgCoOp_training(string name)
    {
        using var golden = new DesignCase("kgcoop", name);
        // The file has the total losses, while a step reports only the cross-entropy.
        var recorded = new Recorded(new KgCoOpLoss(golden.Real("weight")));
        Run("kgcoop", name, new ObjectiveSettings { Regularizers = [recorded] }, "output.losses", "losses", recorded.Losses);
    }

    [Theory]
    [MemberData(nameof(ProGradRuns))]
    public void ProGrad_training(string name)
    {
        using var golden = new DesignCase("prograd", name);
        var settings = new ProGradSettings(golden.Real("lambda"), golden.Real("temperature"));
        Run("prograd", name, new ObjectiveSettings { ProGrad = settings }, "output.cross_entropies", "cross-entropies");
    }

    /// <summary>Records the loss that another regularizer adds to each step.</summary>
    private sealed record Recorded(IRegularizer Regularizer) : IRegularizer
    {
        public List<float> Losses { get; } = [];
        public string Name => Regularizer.Name;
        public string Numbers => Regularizer.Numbers;
        public bool ComparesImages => Regularizer.ComparesImages;
        public bool ComparesFeatures => Regularizer.ComparesFeatures;

        public Tensor Loss(ClipOutputs student, ClipOutputs teacher, Tensor? weights)
        {
            Tensor loss = Regularizer.Loss(student, teacher, weights);
            Losses.Add(loss.item<float>());
            return loss;
        }
    }

    private static void Run(
        string design,
        string name,
        ObjectiveSettings objective,
        string losses,
        string what,
        IReadOnlyList<float>? beside = null
    )
    {
        using var scope = NewDisposeScope();
        using var golden = new DesignCase(design, name);
        using var model = new ContextModel(golden, "init.context");
        using Teacher teacher = Teacher.Create(model.Clip, model.TeacherText);
        var settings = new TrainingSettings
        {
            Epochs = golden.Whole("epochs"),
            LearningRate = 0.002,
            Objective = objective,
        };
        var steps = new StepRecorder();
        new PromptTraining(model.Clip, settings, steps).Run(
            model.Prompts,
            new RecordedBatches(golden),
            validation: null,
            new TrainingState(),
            teachers: () => new Teachers(teacher)
        );
        float[] reported = [.. steps.Reports.Select((r, i) => (float)r.TrainLoss + (beside?[i] ?? 0))];
        Close.Relative(golden[losses], tensor(reported), Runs, what);
        Tensor final = model.Context.Vectors;
        Close.Relative(golden["final.context"].reshape(final.shape), final, Runs, "final context");
    }
}
