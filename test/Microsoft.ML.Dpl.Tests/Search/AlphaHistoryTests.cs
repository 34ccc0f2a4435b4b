using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Network;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Search;

public sealed class AlphaHistoryTests(SmallBackbone small) : IClassFixture<SmallBackbone>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("alphas.safetensors")]
    [InlineData("alphas")]
    public void All_epochs_come_back(string name)
    {
        AlphaHistory history = Example();
        history.Save(_folder.File(name));
        AlphaHistory back = AlphaHistory.Load(_folder.File(name));
        Assert.Equal(history.CandidateLengths, back.CandidateLengths);
        Assert.Equal(history.ToTextArray(), back.ToTextArray());
        Assert.Equal(history.ToImageArray(), back.ToImageArray());
        Assert.Equal(2, back.Epochs);
    }

    [Fact]
    public void The_largest_alpha_of_an_epoch_chooses_and_the_shorter_of_equals()
    {
        AlphaHistory history = Example();
        Assert.Equal("text 4 0 0 | image 0 3", history.Configuration(0).ToString());
        Assert.Equal("text 0 3 4 | image 4 0", history.Configuration().ToString());
        Assert.Throws<ArgumentOutOfRangeException>(() => history.Configuration(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => history.Configuration(-1));
    }

    /// <summary>The authors' search space of seven lengths, in double precision and column-major order, which np.save may use.</summary>
    [Fact]
    public void The_authors_files_give_a_configuration_with_the_names_exchanged()
    {
        string img = Npy(
                "alpha_e59_img.npy",
                [
                    [0, 0, 1, 0, 0, 0, 0],
                    [0, 0, 0, 0, 0, 0, 9],
                ],
                fortran: true
            ),
            txt = Npy(
                "alpha_e59_txt.npy",
                [
                    [2, 0, 0, 0, 0, 0, 0],
                    [-3, -2, -1, -2, -3, -4, -5],
                ],
                fortran: false
            );
        AlphaFiles files = AlphaFiles.FromAuthors(img, txt);
        Assert.Contains("exchanges", files.Reason);
        Assert.Equal("text 2 6 | image 0 2", Configuration(files));
        Assert.Equal("text 2 6 | image 0 2", Configuration(AlphaFiles.FromAuthors(txt, img)));
        Assert.Equal("text 0 2 | image 2 6", Configuration(AlphaFiles.AsNamed(img, txt)));
        Assert.Equal("text 2 6 | image 0 2", Configuration(AlphaFiles.FromAuthors(Copy(img, "first.npy"), Copy(txt, "second.npy"))));
    }

    [Fact]
    public void Numbers_of_layers_tell_which_file_is_which()
    {
        int text = small.Backbone.Config.Text.Layers,
            image = small.Backbone.Config.Image.Layers;
        Assert.NotEqual(text, image);
        float[][] Layers(int count) => [.. Enumerable.Range(0, count).Select(_ => new float[] { 0, 1, 0, 0 })];
        string ofText = Npy("text.npy", Layers(text), fortran: false),
            ofImage = Npy("image.npy", Layers(image), fortran: false),
            ofNone = Npy("none.npy", Layers(image + text), fortran: false);
        AlphaFiles exchanged = AlphaFiles.FromAuthors(ofText, ofImage, small.Backbone),
            right = AlphaFiles.FromAuthors(ofImage, ofText, small.Backbone);
        Assert.Equal((ofText, ofImage), (exchanged.TextPath, exchanged.ImagePath));
        Assert.Equal((ofText, ofImage), (right.TextPath, right.ImagePath));
        Assert.Contains("exchanges", exchanged.Reason);
        Assert.Contains("names are right", right.Reason);
        Assert.Contains(
            "another CLIP",
            Assert.Throws<InvalidDataException>(() => AlphaFiles.FromAuthors(ofText, ofNone, small.Backbone)).Message
        );
    }

    [Fact]
    public void What_are_no_alphas_is_named()
    {
        string three = Npy(
                "three.npy",
                [
                    [0, 1, 2],
                ],
                fortran: false
            ),
            four = Npy(
                "four.npy",
                [
                    [0, 1, 2, 3],
                ],
                fortran: false
            ),
            wrong = Npy(
                "nan.npy",
                [
                    [0, 1, 2, float.NaN],
                ],
                fortran: false
            );
        Assert.Contains("3 candidates", Assert.Throws<InvalidDataException>(() => AlphaHistory.Load(three, three)).Message);
        Assert.Equal("text 5 | image 5", AlphaHistory.Load(three, three, [0, 1, 5]).Configuration().ToString());
        Assert.Contains("four.npy", Assert.Throws<InvalidDataException>(() => AlphaHistory.Load(three, four, [0, 1, 5])).Message);
        Assert.Contains("nan.npy", Assert.Throws<InvalidDataException>(() => AlphaHistory.Load(wrong, four)).Message);
        Assert.Contains("increase", Assert.Throws<InvalidDataException>(() => AlphaHistory.Load(four, four, [1, 2, 3, 4])).Message);
        Assert.Throws<FileNotFoundException>(() => AlphaHistory.Load(_folder.File("missing.npy"), four));
        Assert.Throws<ArgumentException>(() => new AlphaHistory([0, 2], new float[1, 1, 2], new float[2, 1, 2]));
        Assert.Throws<ArgumentException>(() => new AlphaHistory([0, 2], new float[1, 1, 2], new float[1, 0, 2]));
        File.WriteAllBytes(
            _folder.File("flat.npy"),
            NpyFileTests.Raw("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", new byte[4], 1)
        );
        Assert.Contains("flat.npy", Assert.Throws<InvalidDataException>(() => AlphaHistory.Load(_folder.File("flat.npy"), four)).Message);
    }

    /// <summary>The alphas of the reference's whole search, written as .npy per branch and read back, give the choice of the last
    /// epoch.</summary>
    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void A_golden_search_chooses_by_its_last_alphas(string caseName)
    {
        using var golden = new GoldenCase(caseName);
        using var scope = NewDisposeScope();
        Tensor all = golden["search", "output.alphas_by_epoch"],
            finalText = golden["search", "final.alphas.text"],
            finalImage = golden["search", "final.alphas.image"];
        long epochs = all.shape[0],
            image = finalImage.NumberOfElements;
        // Image alphas come first in the reference's rows.
        Write("text.npy", all.narrow(1, image, finalText.NumberOfElements).reshape([epochs, .. finalText.shape]));
        Write("image.npy", all.narrow(1, 0, image).reshape([epochs, .. finalImage.shape]));
        int[] candidates = golden.Numbers("search", "candidates");
        AlphaHistory history = AlphaHistory.Load(_folder.File("text.npy"), _folder.File("image.npy"), candidates);
        Assert.Equal(epochs, history.Epochs);
        Assert.Equal(Chosen(finalText), history.Configuration().Text);
        Assert.Equal(Chosen(finalImage), history.Configuration().Image);

        int[] Chosen(Tensor alphas) => [.. alphas.argmax(1).data<long>().ToArray().Select(k => candidates[k])];
    }

    private static AlphaHistory Example() =>
        new(
            [0, 3, 4],
            new[,,]
            {
                {
                    { -1f, 0, 1 },
                    { 2, 2, 2 },
                    { 5, 4, 3 },
                },
                {
                    { 1, 0, -1 },
                    { 0, 7, 0 },
                    { 0, 1, 2 },
                },
            },
            new[,,]
            {
                {
                    { 1f, 0, 1 },
                    { 0, 1, 0 },
                },
                {
                    { 0, 0, 1e-9f },
                    { 0, -1e-9f, 0 },
                },
            }
        );

    private static string Configuration(AlphaFiles files) => AlphaHistory.Load(files.TextPath, files.ImagePath).Configuration().ToString();

    private string Copy(string path, string name) => _folder.Copy(path, name);

    private void Write(string name, Tensor array)
    {
        using FileStream stream = File.Create(_folder.File(name));
        NpyFile.Write(stream, array);
    }

    /// <summary>Writes alphas, [layers, candidates], as .npy in double precision.</summary>
    private string Npy(string name, float[][] alphas, bool fortran)
    {
        LibTorch.EnsureLoaded();
        int rows = alphas.Length,
            columns = alphas[0].Length;
        IEnumerable<double> numbers = fortran
            ? Enumerable.Range(0, columns).SelectMany(c => alphas.Select(row => (double)row[c]))
            : alphas.SelectMany(row => row.Select(value => (double)value));
        string header = $"{{'descr': '<f8', 'fortran_order': {fortran}, 'shape': ({rows}, {columns}), }}";
        File.WriteAllBytes(_folder.File(name), NpyFileTests.Raw(header, [.. numbers.SelectMany(BitConverter.GetBytes)], 1));
        return _folder.File(name);
    }
}
