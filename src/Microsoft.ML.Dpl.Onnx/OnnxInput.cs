namespace Microsoft.ML.Dpl;

/// <summary>What an ONNX model takes.</summary>
public enum OnnxInput
{
    /// <summary>
    /// <c>pixels</c>, <c>float</c> [batch, 3, size, size]: any number of images, resized, cropped and normalised outside;
    /// <see cref="DplTransformer.Pixels(string)"/> does that, and the model's metadata say how. Opset 17, for ONNX Runtime 1.12 and later.
    /// </summary>
    Pixels,

    /// <summary>
    /// <c>image</c>, <c>uint8</c> [height, width, 3]: one decoded image of any size, red, green and blue without alpha; the model resizes,
    /// crops and normalises it. Opset 18, for ONNX Runtime 1.14 and later. Turning an image as its file asks stays outside.
    /// </summary>
    Image,
}
