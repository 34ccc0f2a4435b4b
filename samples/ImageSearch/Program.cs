// Finds images by words in an application without libtorch, with the zips of a ClipImageEmbedding and a ClipTextEmbedding that both contain
// the same CLIP (CarryClip = true):
//   dotnet run -c Release --project samples/ImageSearch -- images.zip texts.zip "a photo of a red thing." image.jpg ...
// Writes one line per image, the best first: the cosine similarity of its embedding to that of the words, and its path.
using System.Globalization;
using System.Numerics.Tensors;
using Microsoft.ML;
using Microsoft.ML.Data;

if (args is not [string imageZip, string textZip, string words, .. string[] paths] || paths.Length == 0)
{
    Console.Error.WriteLine("Arguments: images.zip texts.zip words image ...");
    return 2;
}

var mlContext = new MLContext();
try
{
    float[] question = Vectors(textZip, [words], text => new Question { Text = text }).Single();
    float[][] images = Vectors(imageZip, paths, path => new Photo { ImagePath = path });
    if (images[0].Length != question.Length)
        throw new InvalidDataException(
            $"'{imageZip}' gives vectors of {images[0].Length} numbers and '{textZip}' of {question.Length}: make both with the same CLIP."
        );
    var found = paths.Zip(images, (path, vector) => (Path: path, Cosine: TensorPrimitives.Dot(vector, question)));
    foreach (var (path, cosine) in found.OrderByDescending(image => image.Cosine))
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{cosine:f3}  {path}"));
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

// Vectors have length 1 (Normalize, which is the default), so that a dot product is the cosine.
float[][] Vectors<T>(string zip, IEnumerable<string> values, Func<string, T> row)
    where T : class
{
    ITransformer embedding = mlContext.Model.Load(zip, out _);
    try
    {
        return [.. embedding.Transform(mlContext.Data.LoadFromEnumerable(values.Select(row))).GetColumn<float[]>("Features")];
    }
    finally
    {
        (embedding as IDisposable)?.Dispose();
    }
}

internal sealed class Photo
{
    public string ImagePath { get; set; } = "";
}

internal sealed class Question
{
    public string Text { get; set; } = "";
}
