// Uses a model from samples/ModelBuilder through the class that Model Builder generates, in an application without libtorch:
//   dotnet run -c Release --project samples/ModelBuilderConsumer -- FlowerClassifier.zip image.jpg ...
using ModelBuilder;

if (args is not [string zip, .. string[] images] || images.Length == 0)
{
    Console.Error.WriteLine("Arguments: model.zip image ...");
    return 2;
}
try
{
    FlowerClassifier.MLNetModelPath = Path.GetFullPath(zip);
    foreach (string image in images)
    {
        Console.WriteLine(image);
        var input = new FlowerClassifier.ModelInput { ImageSource = File.ReadAllBytes(image) };
        foreach (var (label, score) in FlowerClassifier.PredictAllLabels(input))
            Console.WriteLine($"  {score:f4}  {label}");
    }
    return 0;
}
catch (Exception e)
{
    // ML.NET wraps exceptions thrown by a model loader.
    while (e is System.Reflection.TargetInvocationException { InnerException: { } cause })
        e = cause;
    Console.Error.WriteLine(e.Message);
    return 1;
}
