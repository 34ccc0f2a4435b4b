using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>Where a CLIP's weights and vocabulary come from: files, or a model zip that carried them.</summary>
internal interface IClipSource
{
    /// <summary>Whether the text branch and its vocabulary are there.</summary>
    bool HasText { get; }

    /// <summary>Lower-case hexadecimal SHA-256 by which a model names the weights.</summary>
    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    /// <exception cref="InvalidDataException">A file of the hub's cache is not what its hash says.</exception>
    string HashWeights();

    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    void RequireUnchanged();

    /// <summary>The image branch on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">The weights are gone or have changed.</exception>
    Lease<VisionWeights> RentVision(ClipConfig config, Device device);

    /// <summary>The text branch on a device, shared with everyone who rents it there.</summary>
    /// <exception cref="IOException">There is no text branch, or the weights are gone or have changed.</exception>
    Lease<TextWeights> RentText(ClipConfig config, Device device);

    /// <exception cref="IOException">There is no vocabulary.</exception>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    ClipVocabulary ReadVocabulary();

    /// <param name="imageSize">What the image tower takes, in pixels a side.</param>
    /// <exception cref="InvalidDataException">The preprocessing asks for what this library does not do.</exception>
    ClipImageProcessorConfig ReadImageProcessor(int imageSize);

    /// <summary>A share in weights that exist in memory only, so that they stay until it is disposed; null where they can be read
    /// again.</summary>
    /// <exception cref="IOException">The weights are gone.</exception>
    IDisposable? Hold();
}
