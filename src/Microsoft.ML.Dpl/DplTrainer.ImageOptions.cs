using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

public sealed partial class DplTrainer
{
    /// <summary>How images are read; see <see cref="Options.Images"/>.</summary>
    public sealed class ImageOptions
    {
        internal ImageOptions() { }

        /// <summary>The folder that relative image paths start from, in training and in prediction; stored in the saved model. Null: the
        /// current folder.</summary>
        public string? Folder { get; set; }

        /// <summary>
        /// Whether images given as paths or bytes are rotated and mirrored according to the EXIF orientation in their files, in training
        /// and in prediction; stored in the saved model. By default they are not, as in CLIP's own preprocessing. An <c>MLImage</c> is used
        /// as it is: it no longer has its EXIF data after decoding.
        /// </summary>
        public bool ApplyExifOrientation { get; set; }

        /// <summary>
        /// The maximum number of pixels (width × height) of an image given as a path or bytes, from 1 to 536,870,897, in training and in
        /// prediction; stored in the saved model. A larger image is rejected based on its header, before it is decoded: decoding takes up
        /// to eight bytes per pixel, whatever the size of the file. The default is that of PIL.
        /// </summary>
        public long MaxPixels { get; set; } = ImageDecoder.DefaultMaximumPixels;

        /// <summary>Whether training and validation images that cannot be read are skipped and their number logged, instead of the fit
        /// failing at the first one. Prediction always fails at such a row.</summary>
        public bool SkipUnreadable { get; set; }

        /// <summary>Memory for decoded training images in MiB, at least 1. The images are cached at up to twice CLIP's resolution, or at a
        /// lower one if they would not fit.</summary>
        public int CacheMegabytes { get; set; } = 2048;
    }
}
