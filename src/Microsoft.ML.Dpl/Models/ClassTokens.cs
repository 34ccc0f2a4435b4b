using System.Globalization;
using System.Text;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Tokenizes the text of each class for CLIP.</summary>
internal static class ClassTokens
{
    /// <summary>The tokens of each class's text.</summary>
    /// <param name="classes">The classes; their names are put into the template unchanged, except that underscores become spaces.</param>
    /// <param name="template">The text, with {} for the name.</param>
    /// <param name="backbone">Supplies the vocabulary and the maximum text length.</param>
    /// <param name="warn">Receives warnings about truncated texts and about names with control characters.</param>
    /// <returns>[class][token], with start and end tokens</returns>
    /// <exception cref="InvalidOperationException">A name is empty after CLIP's text cleaning, or two names give the same tokens, so that
    /// no prompt could tell them apart.</exception>
    public static int[][] Create(LabelClasses classes, string template, ClipBackbone backbone, Action<string> warn) =>
        Encode(classes, template, backbone.CreateTokenizer(), backbone, 0, warn);

    /// <summary>The tokens of each class's text for each template, so that the features can be averaged over the templates.</summary>
    /// <returns>[template][class][token], with start and end tokens</returns>
    /// <inheritdoc cref="Create"/>
    public static int[][][] FromTemplates(LabelClasses classes, IEnumerable<string> templates, ClipBackbone backbone, Action<string> warn)
    {
        ClipTokenizer tokenizer = backbone.CreateTokenizer();
        var told = new HashSet<string>(StringComparer.Ordinal);
        void Once(string problem)
        {
            if (told.Add(problem))
                warn(problem);
        }
        return [.. templates.Select(template => Encode(classes, template, tokenizer, backbone, 0, Once))];
    }

    /// <summary>The tokens of each class's text with a learned context: the context, the name and a full stop, in the layout's
    /// order.</summary>
    /// <param name="classes">The classes; underscores in their names become spaces.</param>
    /// <param name="layout">Position of the context in the text.</param>
    /// <param name="backbone">Supplies the vocabulary and the maximum text length.</param>
    /// <param name="warn">Receives warnings about truncated texts and about names with control characters.</param>
    /// <returns>[class][token or context vector], numbered as in <see cref="ContextLayout.Arrange"/>, with start and end tokens</returns>
    /// <exception cref="InvalidOperationException">For the same reasons as in <see cref="Create"/>.</exception>
    public static int[][] WithContext(LabelClasses classes, ContextLayout layout, ClipBackbone backbone, Action<string> warn)
    {
        ClipTokenizer tokenizer = backbone.CreateTokenizer();
        int room = backbone.Config.ContextLength - layout.Length;
        int[][] texts = Encode(classes, "{}.", tokenizer, backbone, layout.Length, warn);
        return
        [
            .. texts.Select(
                (text, index) =>
                {
                    int name = tokenizer.Encode(classes.Names[index].Replace('_', ' '), room, out _).Length - 2;
                    // A truncated text has lost its full stop, so the name ends where the text does.
                    return layout.Arrange(text, Math.Min(name, text.Length - 2), index);
                }
            ),
        ];
    }

    /// <summary>The token ids of words, without the start and end tokens.</summary>
    /// <param name="words">Underscores become spaces.</param>
    /// <param name="backbone">Supplies the vocabulary and the maximum text length.</param>
    public static int[] FromWords(string words, ClipBackbone backbone) =>
        backbone.CreateTokenizer().Encode(words.Replace('_', ' '), backbone.Config.ContextLength, out _)[1..^1];

    private static int[][] Encode(
        LabelClasses classes,
        string template,
        ClipTokenizer tokenizer,
        ClipBackbone backbone,
        int context,
        Action<string> warn
    )
    {
        int room = backbone.Config.ContextLength - context;
        string longest = context == 0 ? $"CLIP's {room} tokens" : $"the {room} tokens that the context leaves of CLIP's";
        var texts = new int[classes.Count][];
        var cut = new bool[classes.Count];
        for (int i = 0; i < texts.Length; i++)
        {
            string name = classes.Names[i].Replace('_', ' ');
            if (ClipText.Clean(name).Length == 0)
                throw new InvalidOperationException(
                    $"The class name {Shown(classes.Names[i])} leaves nothing for CLIP to read: give the class a name in words."
                );
            if (name.Any(c => char.IsControl(c) && !char.IsWhiteSpace(c)))
                warn(
                    $"The class name {Shown(classes.Names[i])} contains control characters, which CLIP reads as part of the name; remove "
                        + "them from the labels."
                );
            texts[i] = tokenizer.Encode(template.Replace("{}", name, StringComparison.Ordinal), room, out cut[i]);
            if (cut[i])
                warn($"The text of class {Shown(classes.Names[i])} is longer than {longest}; the rest is not read.");
        }
        if (
            Enumerable.Range(0, texts.Length).GroupBy(i => string.Join(' ', texts[i])).FirstOrDefault(group => group.Count() > 1) is
            { } same
        )
        {
            string why = same.Any(i => cut[i])
                ? $"They are longer than {longest} and identical up to that point: shorten the names or the template."
                : "CLIP ignores case, underscores, and the kind and number of spaces: if the names mean one class, give its rows one "
                    + "label; if not, rename all but one.";
            throw new InvalidOperationException(
                $"CLIP reads the same text for the classes {string.Join(", ", same.Select(i => Shown(classes.Names[i])))} and cannot "
                    + $"tell them apart. {why}"
            );
        }
        return texts;
    }

    /// <summary>A name in quotation marks, with invisible characters escaped as \uXXXX.</summary>
    private static string Shown(string name)
    {
        var shown = new StringBuilder("'");
        foreach (char c in name)
        {
            bool isVisible =
                c == ' ' || !(char.IsWhiteSpace(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format);
            if (isVisible)
                shown.Append(c);
            else
                shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
        }
        return shown.Append('\'').ToString();
    }
}
