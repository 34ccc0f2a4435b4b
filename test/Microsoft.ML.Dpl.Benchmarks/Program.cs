using System.CommandLine;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Benchmarks;
using Microsoft.ML.Dpl.Benchmarks.Evidence;
using Microsoft.ML.Dpl.Runtime;

var shape = new Option<string>("--shape")
{
    Description = "One of " + string.Join(", ", ClipShapes.Names) + ".",
    DefaultValueFactory = _ => "surrogate",
};
var classes = new Option<int>("--classes") { Description = "Class texts.", DefaultValueFactory = _ => 100 };
var batch = new Option<int>("--batch") { Description = "Images per step.", DefaultValueFactory = _ => 4 };
var candidates = new Option<int[]>("--candidates")
{
    Description = "Prompt lengths.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [0, 1, 2, 3, 4, 5, 6],
};
var repeats = new Option<int>("--repeats") { Description = "Measured rounds; the median counts.", DefaultValueFactory = _ => 5 };
var shortRepeats = new Option<int>("--short-repeats")
{
    Description = "How often ours are measured before, between and behind the naive forms of a round, which take long.",
    DefaultValueFactory = _ => 1,
};
var threads = new Option<int?>("--threads") { Description = "libtorch's threads; default: all." };
var noNaive = new Option<bool>("--no-naive") { Description = "Leave out the naive form." };
var naiveChunk = new Option<int?>("--naive-chunk")
{
    Description =
        "Classes whose graph the naive form holds at once, where all of them do not fit into memory; every class is still computed "
        + "and differentiated once.",
};
var noWorkers = new Option<bool>("--no-workers") { Description = "Share operations among threads, not steps among workers." };
var plainAllocator = new Option<bool>("--plain-allocator") { Description = "Leave the allocator as it is." };
var precision = new Option<ComputePrecision>("--precision")
{
    Description = "Measure the same steps with products of this precision, too.",
};
var device = new Option<string>("--device") { Description = "cpu, cuda or cuda:n.", DefaultValueFactory = _ => "cpu" };
var noMemory = new Option<bool>("--no-memory") { Description = "Leave out the memory, which is measured in processes of their own." };
var json = new Option<bool>("--json") { Description = "One line of JSON instead of a table." };
var form = new Option<string>("--form") { Description = "search, training, naive-search or naive-training.", Required = true };
var length = new Option<int>("--length") { Description = "Prompt rows of every layer.", DefaultValueFactory = _ => 6 };
var image = new Option<int[]>("--image")
{
    Description = "Width and height of the files.",
    AllowMultipleArgumentsPerToken = true,
    Arity = new ArgumentArity(2, 2),
    DefaultValueFactory = _ => [500, 375],
};
var task = new Option<string>("--task") { Description = "A drawn task.", DefaultValueFactory = _ => "lighting" };
var taskBatch = new Option<int>("--batch") { Description = "Images per step.", DefaultValueFactory = _ => 16 };
var searchEpochs = new Option<int>("--search-epochs") { Description = "Epochs of search.", DefaultValueFactory = _ => 20 };
var trainingEpochs = new Option<int>("--training-epochs") { Description = "Epochs of training.", DefaultValueFactory = _ => 20 };
var tasks = new Option<string[]>("--tasks")
{
    Description = "Drawn tasks.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => ["lighting", "objects", "textures"],
};
var patience = new Option<int>("--patience") { Description = "Epochs without a changed choice.", DefaultValueFactory = _ => 5 };
var margin = new Option<double>("--margin")
{
    Description = "Least lead of every layer's choice.",
    DefaultValueFactory = _ => new DplTrainer.Options().Search.Margin,
};
var allSearchEpochs = new Option<int>("--search-epochs") { Description = "Epochs of search.", DefaultValueFactory = _ => 60 };
var allTrainingEpochs = new Option<int>("--training-epochs") { Description = "Epochs of training.", DefaultValueFactory = _ => 40 };

void UseThreads(ParseResult arguments)
{
    Microsoft.ML.Dpl.Runtime.LibTorch.EnsureLoaded();
    if (arguments.GetValue(threads) is int count)
        TorchSharp.torch.set_num_threads(count);
}

StepSize Size(ParseResult arguments)
{
    UseThreads(arguments);
    return new StepSize(
        arguments.GetRequiredValue(shape),
        arguments.GetValue(classes),
        arguments.GetValue(batch),
        arguments.GetRequiredValue(candidates)
    );
}

TorchSharp.torch.Device Chosen(ParseResult arguments) =>
    ComputeDevice.Choose(arguments.GetValue(device), gpuDeviceId: null, fallbackToCpu: false, _ => { }, _ => { });

var steps = new Command("steps", "One step of search and training, ours against the authors' algorithm.")
{
    shape,
    classes,
    batch,
    candidates,
    repeats,
    shortRepeats,
    threads,
    noNaive,
    naiveChunk,
    noWorkers,
    plainAllocator,
    precision,
    device,
    noMemory,
    json,
};
steps.SetAction(arguments =>
    new StepsBenchmark(
        Size(arguments),
        arguments.GetValue(repeats),
        arguments.GetValue(shortRepeats),
        !arguments.GetValue(noNaive),
        arguments.GetValue(naiveChunk),
        !arguments.GetValue(noWorkers),
        !arguments.GetValue(plainAllocator),
        arguments.GetValue(precision),
        Chosen(arguments),
        !arguments.GetValue(noMemory)
    ).Run(arguments.GetValue(json))
);
var designs = new Command("designs", "What other prompt designs cost a training step, against one without them.")
{
    shape,
    classes,
    batch,
    candidates,
    repeats,
    threads,
    noWorkers,
    json,
};
designs.SetAction(arguments =>
    new StepDesignsBenchmark(Size(arguments), arguments.GetValue(repeats), !arguments.GetValue(noWorkers)).Run(arguments.GetValue(json))
);
var memory = new Command(PeakMemory.Verb, "Takes steps of one form and prints the most memory held, in bytes.")
{
    form,
    shape,
    classes,
    batch,
    candidates,
    threads,
    noWorkers,
    plainAllocator,
    precision,
    device,
};
memory.SetAction(arguments =>
    PeakMemory.Measure(
        Size(arguments),
        arguments.GetRequiredValue(form),
        !arguments.GetValue(noWorkers),
        !arguments.GetValue(plainAllocator),
        arguments.GetValue(precision),
        Chosen(arguments)
    )
);
var scalingChart = new Option<string?>("--image") { Description = "Where to draw them as SVG, on logarithmic axes." };
var scaling = new Command("scaling", "Steps against classes, batch, prompt length and threads.") { shape, repeats, json, scalingChart };
scaling.SetAction(arguments =>
    new ScalingBenchmark(arguments.GetRequiredValue(shape), arguments.GetValue(repeats)).Run(
        arguments.GetValue(json),
        arguments.GetValue(scalingChart)
    )
);
var batches = new Option<int[]>("--batches")
{
    Description = "Images of a forward pass.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [1, 32],
};
var predict = new Command("predict", "Prediction with prompts against the plain image tower.")
{
    shape,
    length,
    repeats,
    batches,
    threads,
    json,
};
predict.SetAction(arguments =>
{
    UseThreads(arguments);
    new PredictBenchmark(
        arguments.GetRequiredValue(shape),
        arguments.GetValue(length),
        arguments.GetValue(repeats),
        arguments.GetRequiredValue(batches)
    ).Run(arguments.GetValue(json));
});
var data = new Command("data", "Decoding, caching and augmenting against what a step takes.")
{
    shape,
    classes,
    batch,
    candidates,
    image,
    repeats,
    threads,
    json,
};
data.SetAction(arguments =>
    new DataBenchmark(
        Size(arguments),
        arguments.GetRequiredValue(image)[0],
        arguments.GetRequiredValue(image)[1],
        arguments.GetValue(repeats)
    ).Run(arguments.GetValue(json))
);
var endToEnd = new Command("end-to-end", "A whole fit on the embedded CLIP, stage by stage.")
{
    task,
    taskBatch,
    searchEpochs,
    trainingEpochs,
    json,
};
endToEnd.SetAction(arguments =>
    new EndToEndBenchmark(
        arguments.GetRequiredValue(task),
        arguments.GetValue(taskBatch),
        arguments.GetValue(searchEpochs),
        arguments.GetValue(trainingEpochs)
    ).Run(arguments.GetValue(json))
);
var earlyStop = new Command("early-stop", "A search that ends once it is decided against all its epochs.")
{
    tasks,
    taskBatch,
    allSearchEpochs,
    allTrainingEpochs,
    patience,
    margin,
    json,
};
earlyStop.SetAction(arguments =>
    new EarlyStopBenchmark(
        arguments.GetRequiredValue(tasks),
        arguments.GetValue(taskBatch),
        arguments.GetValue(allSearchEpochs),
        arguments.GetValue(allTrainingEpochs),
        arguments.GetValue(patience),
        arguments.GetValue(margin)
    ).Run(arguments.GetValue(json))
);
var evidenceTasks = new Option<string[]>("--tasks")
{
    Description = "Drawn tasks and data sets of photographs.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [.. Drawing.Tasks.DrawnTasks.All.Select(drawn => drawn.Name)],
};
var seeds = new Option<int[]>("--seeds")
{
    Description = "Draws, which are also the seeds of the fits.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [1],
};
var methods = new Option<string[]>("--methods")
{
    Description = "For instance zero-shot, uniform:4, 'uniform:4 refit', 'uniform:4 paper batch=16', search, default.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => ["zero-shot", "uniform:4", "default"],
};
var photographs = new Option<string?>("--data") { Description = "Folder with data sets of photographs and their draws." };
var photographsClip = new Option<string?>("--clip") { Description = "The CLIP for photographs." };
var results = new Option<string[]>("--results")
{
    Description = "Files with a line of JSON a run; runs are appended to the first.",
    AllowMultipleArgumentsPerToken = true,
    Required = true,
};
var baseToNew = new Option<bool>("--base-to-new")
{
    Description = "Train the first half of the classes and test both halves, each among itself; the accuracy is their harmonic mean.",
};
var onlyTable = new Option<bool>("--table") { Description = "Run nothing, print what the files hold." };
var baseline = new Option<string?>("--baseline") { Description = "The method that the table compares the others to." };
var evidence = new Command("evidence", "Methods on tasks and seeds, resumable, with means and paired differences.")
{
    evidenceTasks,
    seeds,
    methods,
    photographs,
    photographsClip,
    threads,
    results,
    baseToNew,
    onlyTable,
    baseline,
};
evidence.SetAction(arguments =>
{
    UseThreads(arguments);
    string[] files = arguments.GetRequiredValue(results);
    if (!arguments.GetValue(onlyTable))
        new EvidenceBenchmark(files, arguments.GetValue(photographs), arguments.GetValue(photographsClip)).Run(
            arguments.GetRequiredValue(evidenceTasks),
            arguments.GetRequiredValue(seeds),
            arguments.GetRequiredValue(methods),
            arguments.GetValue(baseToNew)
        );
    new EvidenceTable(EvidenceTable.WithBestUniform(EvidenceBenchmark.Read(files))).Print(arguments.GetValue(baseline));
});
var precisionTasks = new Option<string[]>("--tasks")
{
    Description = "Drawn tasks and data sets of photographs.",
    AllowMultipleArgumentsPerToken = true,
    Required = true,
};
var trainingSteps = new Option<int>("--steps")
{
    Description = "Steps of training.",
    DefaultValueFactory = _ => PrecisionBenchmark.DefaultSteps,
};
var uniform = new Option<int>("--length")
{
    Description = "Prompt rows of every layer.",
    DefaultValueFactory = _ => PrecisionBenchmark.DefaultLength,
};
var precisionResults = new Option<string>("--results")
{
    Description = "File with a line of JSON for each model and precision; what it holds is not run again.",
    Required = true,
};
var graphs = new Command("precision", "Accuracy of ONNX graphs of float16 and int8 against float32, on the same test images.")
{
    precisionTasks,
    seeds,
    uniform,
    trainingSteps,
    photographs,
    photographsClip,
    threads,
    precisionResults,
};
graphs.SetAction(arguments =>
{
    UseThreads(arguments);
    var benchmark = new PrecisionBenchmark(
        arguments.GetRequiredValue(precisionResults),
        arguments.GetValue(photographs),
        arguments.GetValue(photographsClip),
        arguments.GetValue(uniform),
        arguments.GetValue(trainingSteps)
    );
    benchmark.Run(arguments.GetRequiredValue(precisionTasks), arguments.GetRequiredValue(seeds));
    benchmark.Print();
});

return await new RootCommand("Ratios within one run; absolute times say little about other machines.")
{
    steps,
    designs,
    scaling,
    predict,
    graphs,
    data,
    endToEnd,
    earlyStop,
    evidence,
    memory,
}
    .Parse(args)
    .InvokeAsync();
