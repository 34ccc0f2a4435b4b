using SkiaSharp;

namespace Drawing.Tasks.Generators;

/// <summary>Four shapes in two colours each, barely visible through noise.</summary>
internal sealed class NoisyTask : DrawnTask
{
    public override string Name => "noisy";

    public override string Description => "Coloured shapes behind blur, a grey veil, scratches and strong noise.";

    public override string Template => "a noisy picture of a {}.";

    public override IReadOnlyList<string> ClassNames { get; } =
    ["red star", "blue star", "red heart", "blue heart", "green ring", "yellow ring", "green cross", "yellow cross"];

    private protected override void Paint(Easel easel, string className)
    {
        string[] words = className.Split(' ');
        byte grey = (byte)easel.Dice.Next(70, 190);
        easel.Cover(easel.Near(new SKColor(grey, grey, grey), 30));
        easel.Roughen(0.05f, 0.8f);

        float x = 50 + easel.Between(-14, 14),
            y = 50 + easel.Between(-14, 14);
        // Mix with grey to reduce the saturation.
        SKColor colour = Colours.Mix(easel.Near(Colours.Named(words[0]), 25), new SKColor(128, 128, 128), easel.Between(0.05f, 0.45f));
        easel.Blurred(easel.Between(1.5f, 4), () =>
            easel.Fill(easel.Shape(words[1], x, y, easel.Between(23, 35), easel.Between(-40, 40)), colour)
        );
        for (int scratch = easel.Dice.Next(3, 8); scratch > 0; scratch--)
        {
            float from = easel.Between(0, 100),
                to = from + easel.Between(-40, 40);
            SKColor scratched = easel.Pick(SKColors.White, SKColors.Black, easel.Vivid()).WithAlpha(170);
            easel.Stroke(
                easel.Wobble(easel.Chance(0.5) ? easel.Line(false, (0, from), (100, to)) : easel.Line(false, (from, 0), (to, 100)), 3),
                scratched,
                easel.Between(0.8f, 3)
            );
        }
        easel.Grain(easel.Between(35, 60));
    }
}
