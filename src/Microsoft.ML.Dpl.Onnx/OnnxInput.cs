namespace Microsoft.ML.Dpl;

/// <summary>The input of an ONNX model.</summary>
public enum OnnxInput
{
    /// <summary>
    /// <c>pixels</c>, <c>float</c> [batch, 3, size, size]: any number of images, which the caller has resized, cropped and
    /// normalised; <see cref="DplTransformer.Pixels(string)"/> does that, and the model's metadata describe how. Opset 17, for ONNX Runtime
    /// 1.12 and later.
    /// </summary>
    Pixels,

    /// <summary>
    /// <c>image</c>, <c>uint8</c> [height, width, 3]: one decoded image of any size, in RGB order without alpha; the model resizes, crops
    /// and normalises it. Opset 18, for ONNX Runtime 1.14 and later. The EXIF orientation must be applied by the caller.
    /// </summary>
    Image,
}
