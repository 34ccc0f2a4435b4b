using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>How images are read; see <see cref="Options.Images"/>.</summary>
    public sealed class ImageOptions
    {
        internal ImageOptions() { }

        /// <summary>Where relative paths of images start, in training and in prediction; kept in the saved model. Null: the current
        /// folder.</summary>
        public string? Folder { get; set; }

        /// <summary>
        /// Whether images given as paths or bytes are turned and mirrored as the EXIF orientation in their files asks, in training and in
        /// prediction; kept in the saved model. By default they are not, as in CLIP's own preprocessing. An <c>MLImage</c> is taken as it
        /// is: once decoded it no longer tells.
        /// </summary>
        public bool ApplyExifOrientation { get; set; }

        /// <summary>
        /// The most pixels (width × height) that an image given as path or bytes may have, from 1 to 536,870,897, in training and in
        /// prediction; kept in the saved model. An image of more is refused by what its header says, before it is decoded: decoding takes
        /// up to eight bytes for every pixel, whatever the size of the file. The default is that of PIL.
        /// </summary>
        public long MaxPixels { get; set; } = ImageDecoder.DefaultMaximumPixels;

        /// <summary>Leave out training and validation images that cannot be read, and say in the log how many, instead of failing at the
        /// first. Prediction always fails at such a row.</summary>
        public bool SkipUnreadable { get; set; }

        /// <summary>Memory for decoded training images in MiB, at least 1. They are kept at up to twice CLIP's resolution, smaller where
        /// that does not fit.</summary>
        public int CacheMegabytes { get; set; } = 2048;
    }
}
