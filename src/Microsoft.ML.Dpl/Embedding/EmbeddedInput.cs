namespace Microsoft.ML.Dpl.Embedding;

/// <summary>What CLIP embeds.</summary>
internal enum EmbeddedInput
{
    /// <summary>Images, by the image tower.</summary>
    Image,

    /// <summary>Texts, by the text tower.</summary>
    Text,
}
