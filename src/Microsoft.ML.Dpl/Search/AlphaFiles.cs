using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl;

/// <summary>Assigns the two .npy files of alphas written by the code of the paper's authors to the text and the image tower.</summary>
/// <remarks>
/// That code writes <c>alpha_e*_img.npy</c> and <c>alpha_e*_txt.npy</c> with the names swapped: the file called <c>img</c> holds the text
/// branch's alphas, and vice versa.
/// </remarks>
public sealed record AlphaFiles
{
    private const string ImageMark = "_img",
        TextMark = "_txt";

    private AlphaFiles(string textPath, string imagePath, string reason) => (TextPath, ImagePath, Reason) = (textPath, imagePath, reason);

    /// <summary>The text tower's alphas, for <see cref="AlphaHistory.Load(string, string, IReadOnlyList{int})"/>.</summary>
    public string TextPath { get; }

    /// <summary>The image tower's alphas.</summary>
    public string ImagePath { get; }

    /// <summary>Why the files were assigned this way, as a sentence.</summary>
    public string Reason { get; private init; }

    /// <summary>
    /// Assumes that the names are swapped, as in the authors' code, unless the numbers of layers show that they are right.
    /// </summary>
    /// <param name="imgPath">The file called <c>img</c>. If this name contains <c>_txt</c> and the other <c>_img</c>, the two arguments are
    /// swapped.</param>
    /// <param name="txtPath">The file called <c>txt</c>.</param>
    /// <param name="backbone">The CLIP that was searched. If its branches have different numbers of layers, the shapes of the files decide.
    /// Null: the names are taken to be swapped.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or the files do not match the backbone either way.</exception>
    public static AlphaFiles FromAuthors(string imgPath, string txtPath, ClipBackbone? backbone = null)
    {
        (imgPath, txtPath) = InOrder(imgPath, txtPath);
        int img = Layers(imgPath),
            txt = Layers(txtPath);
        var exchanged = new AlphaFiles(imgPath, txtPath, "");
        if (backbone is null)
            return exchanged with
            {
                Reason =
                    $"{Path.GetFileName(imgPath)} is taken for the text tower and {Path.GetFileName(txtPath)} for the image tower, "
                    + "because the authors' code exchanges the two names.",
            };
        int text = backbone.Config.Text.Layers,
            image = backbone.Config.Image.Layers;
        bool fitsExchanged = img == text && txt == image,
            fitsNamed = img == image && txt == text;
        if (!fitsExchanged && !fitsNamed)
            throw new InvalidDataException(
                $"{imgPath} has {img} layers and {txtPath} has {txt}, but {backbone.Name} has {text} text and {image} image layers: "
                    + "these are the alphas of another CLIP."
            );
        if (!fitsExchanged)
            return AsNamed(imgPath, txtPath) with
            {
                Reason = $"The files' names are right: {backbone.Name} has {text} text and {image} image layers.",
            };
        return exchanged with
        {
            Reason = fitsNamed
                ? $"{Path.GetFileName(imgPath)} is taken for the text tower and {Path.GetFileName(txtPath)} for the image tower, "
                    + $"because the authors' code exchanges the two names; both branches have {text} layers, so the shapes cannot tell."
                : $"{Path.GetFileName(imgPath)} holds the text tower, as the authors' code exchanges the two names: {backbone.Name} "
                    + $"has {text} text and {image} image layers.",
        };
    }

    /// <summary>Assumes that the names are right.</summary>
    /// <param name="imgPath">The image tower's alphas; the arguments may be in either order, as for <see cref="FromAuthors"/>.</param>
    /// <param name="txtPath">The text tower's alphas.</param>
    public static AlphaFiles AsNamed(string imgPath, string txtPath)
    {
        (imgPath, txtPath) = InOrder(imgPath, txtPath);
        return new AlphaFiles(
            txtPath,
            imgPath,
            $"{Path.GetFileName(imgPath)} is taken for the image tower and {Path.GetFileName(txtPath)} for the text tower, as they "
                + "are named."
        );
    }

    private static (string Img, string Txt) InOrder(string imgPath, string txtPath)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(imgPath);
        ArgumentException.ThrowIfNullOrWhiteSpace(txtPath);
        return Marks(imgPath, TextMark, ImageMark) && Marks(txtPath, ImageMark, TextMark) ? (txtPath, imgPath) : (imgPath, txtPath);

        static bool Marks(string path, string mark, string other) =>
            Path.GetFileName(path).Contains(mark, StringComparison.OrdinalIgnoreCase)
            && !Path.GetFileName(path).Contains(other, StringComparison.OrdinalIgnoreCase);
    }

    private static int Layers(string path)
    {
        using NpyFile file = NpyFile.Open(path);
        if (file.Shape.Count is not (2 or 3))
            throw new InvalidDataException(
                $"{path} has the shape [{string.Join(", ", file.Shape)}], but alphas are [epochs, layers, candidates] or [layers, "
                    + "candidates]."
            );
        return (int)Math.Min(file.Shape[^2], int.MaxValue);
    }
}
