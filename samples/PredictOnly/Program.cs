// Classifies image files in an application without libtorch, with a model that has CLIP's image tower or an ONNX graph in its zip
// (dpl fit; in code Contents = ModelContents.WithImageTower or WithOnnx):
//   dotnet run -c Release --project samples/PredictOnly -- model.zip image.jpg ...
// Writes one line of JSON per image. With --engine as the first argument, a PredictionEngine predicts image by image.
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

bool oneByOne = args is ["--engine", ..];
if ((oneByOne ? args[1..] : args) is not [string zip, .. string[] images] || images.Length == 0)
{
    Console.Error.WriteLine("Arguments: [--engine] model.zip image ...");
    return 2;
}

var mlContext = new MLContext();
try
{
    ITransformer model = mlContext.Model.Load(zip, out _);
    IEnumerable<Row> rows = images.Select(image => new Row { ImagePath = image });
    DataViewSchema columns = model.GetOutputSchema(mlContext.Data.LoadFromEnumerable(rows).Schema);
    VBuffer<ReadOnlyMemory<char>> names = default;
    columns["Score"].GetSlotNames(ref names);
    string[] classes = [.. names.DenseValues().Select(name => name.ToString())];

    IEnumerable<float[]> scores;
    if (oneByOne)
    {
        PredictionEngine<Row, Answer> engine = mlContext.Model.CreatePredictionEngine<Row, Answer>(model);
        scores = rows.Select(row => engine.Predict(row).Score);
    }
    else
        scores = model.Transform(mlContext.Data.LoadFromEnumerable(rows)).GetColumn<float[]>("Score");
    foreach (var (image, score) in images.Zip(scores))
        Console.WriteLine(
            JsonSerializer.Serialize(
                new
                {
                    image,
                    label = classes[Array.IndexOf(score, score.Max())],
                    score,
                }
            )
        );
    return 0;
}
catch (Exception e)
{
    // ML.NET wraps exceptions that a loader throws.
    while (e is System.Reflection.TargetInvocationException { InnerException: { } cause })
        e = cause;
    Console.Error.WriteLine(e.Message);
    return 1;
}

internal sealed class Row
{
    public string ImagePath { get; set; } = "";

    /// <summary>Required in the schema by pipelines that start with MapValueToKey; predictions do not use it.</summary>
    public string Label { get; set; } = "";
}

internal sealed class Answer
{
    public float[] Score { get; set; } = [];
}
