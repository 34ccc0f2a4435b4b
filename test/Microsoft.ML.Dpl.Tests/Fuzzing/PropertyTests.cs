using FsCheck.Xunit;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using SkiaSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Fuzzing;

/// <summary>Properties that hold for every input, checked on inputs that FsCheck generates and shrinks.</summary>
public sealed class PropertyTests
{
    private static readonly (SKEncodedOrigin Origin, SKEncodedOrigin Inverse)[] Turns =
    [
        (SKEncodedOrigin.TopLeft, SKEncodedOrigin.TopLeft),
        (SKEncodedOrigin.TopRight, SKEncodedOrigin.TopRight),
        (SKEncodedOrigin.BottomRight, SKEncodedOrigin.BottomRight),
        (SKEncodedOrigin.BottomLeft, SKEncodedOrigin.BottomLeft),
        (SKEncodedOrigin.LeftTop, SKEncodedOrigin.LeftTop),
        (SKEncodedOrigin.RightTop, SKEncodedOrigin.LeftBottom),
        (SKEncodedOrigin.RightBottom, SKEncodedOrigin.RightBottom),
        (SKEncodedOrigin.LeftBottom, SKEncodedOrigin.RightTop),
    ];

    [Property(MaxTest = 100)]
    public void Any_bytes_are_read_or_refused_by_name(byte[]? bytes)
    {
        bytes ??= [];
        Refused(() => ImageDecoder.FromBytes(bytes, "drawn"));
        Refused(() => SafetensorsFile.FromBytes(bytes, "drawn").Dispose());
        Refused(() => ClipConfigReader.Parse(bytes, "drawn"));
        Refused(() => ClipImageProcessorConfig.Parse(bytes, "drawn", 16));

        static void Refused(Action read)
        {
            if (Record.Exception(read) is { } thrown)
                Assert.Contains("drawn", Assert.IsType<InvalidDataException>(thrown).Message);
        }
    }

    [Property(MaxTest = 50)]
    public void What_is_written_as_safetensors_is_read_back(Dictionary<string, byte[]?>? values)
    {
        // JSON cannot represent unpaired surrogates, so keys with surrogates are left out.
        var kept = (values ?? [])
            .Where(v => v.Key.Length > 0 && v.Key != SafetensorsHeader.MetadataName && !v.Key.Any(char.IsSurrogate))
            .ToDictionary(v => v.Key, v => v.Value ?? []);
        using var scope = NewDisposeScope();
        byte[] file = SafetensorsBytes.Write(kept.Select(v => KeyValuePair.Create(v.Key, tensor(v.Value))));
        using var read = SafetensorsFile.FromBytes(file, "drawn");
        Assert.Equal(kept.Keys.Order(StringComparer.Ordinal), read.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, value) in kept)
            Assert.Equal(value, value.Length == 0 ? [] : read.Read(name).bytes.ToArray());
    }

    [Property(MaxTest = 100)]
    public void Turning_and_turning_back_gives_the_image(byte width, byte height, byte turn)
    {
        (int w, int h) = (1 + width % 5, 1 + height % 5);
        var (origin, inverse) = Turns[turn % Turns.Length];
        byte[] pixels = [.. Enumerable.Range(0, 3 * w * h).Select(i => (byte)i)],
            alpha = [.. Enumerable.Range(0, w * h).Select(i => (byte)(i * 3))];
        RgbImage back = new RgbImage(w, h, pixels, alpha).Upright(origin).Upright(inverse);
        Assert.Equal((w, h), (back.Width, back.Height));
        Assert.Equal(pixels, back.Pixels);
        Assert.Equal(alpha, back.Alpha!);
    }

    [Property(MaxTest = 100)]
    public void Shown_text_is_one_line(string? text)
    {
        string shown = ShownText.Escape(text ?? "");
        Assert.DoesNotContain(shown, c => char.IsControl(c) || c is '\u2028' or '\u2029');
        if (text is { Length: < 100 } && text.All(c => c is >= ' ' and <= '~'))
            Assert.Equal(text, shown);
    }

    [Property(MaxTest = 100)]
    public void A_configuration_is_read_back_as_it_was_written(byte[]? text, byte[]? image)
    {
        if (text is not { Length: > 0 } || image is not { Length: > 0 })
            return;
        var configuration = new PromptConfiguration([.. text.Select(b => (int)b)], [.. image.Select(b => (int)b)]);
        Assert.Equal(configuration, PromptConfiguration.Parse(configuration.ToString()));
        Assert.Equal(configuration, PromptConfiguration.FromJson(configuration.ToJson()));
    }
}
