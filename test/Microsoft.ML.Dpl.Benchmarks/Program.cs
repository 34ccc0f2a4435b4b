using System.CommandLine;
using Microsoft.ML.Dpl.Benchmarks;

var shape = new Option<string>("--shape") { Description = "One of " + string.Join(", ", ClipShapes.Names) + ".", DefaultValueFactory = _ => "surrogate" };
var classes = new Option<int>("--classes") { Description = "Class texts.", DefaultValueFactory = _ => 100 };
var batch = new Option<int>("--batch") { Description = "Pictures per step.", DefaultValueFactory = _ => 4 };
var candidates = new Option<int[]>("--candidates") { Description = "Context lengths.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [0, 1, 2, 3, 4, 5, 6] };
var repeats = new Option<int>("--repeats") { Description = "Measured rounds; the median counts.", DefaultValueFactory = _ => 5 };
var threads = new Option<int?>("--threads") { Description = "libtorch's threads; default: all." };
var noNaive = new Option<bool>("--no-naive") { Description = "Leave out the naive form." };
var json = new Option<bool>("--json") { Description = "One line of JSON instead of a table." };

var steps = new Command("steps", "One step of search and training, ours against the naive form.") { shape, classes, batch, candidates, repeats, threads, noNaive, json };
steps.SetAction(arguments =>
{
    Microsoft.ML.Dpl.Runtime.LibTorch.EnsureLoaded();
    if (arguments.GetValue(threads) is int count) TorchSharp.torch.set_num_threads(count);
    new StepsBenchmark(
        arguments.GetRequiredValue(shape), arguments.GetValue(classes), arguments.GetValue(batch), arguments.GetRequiredValue(candidates), arguments.GetValue(repeats), !arguments.GetValue(noNaive))
        .Run(arguments.GetValue(json));
});
return await new RootCommand("Ratios within one run; absolute times say little about other machines.") { steps }.Parse(args).InvokeAsync();
