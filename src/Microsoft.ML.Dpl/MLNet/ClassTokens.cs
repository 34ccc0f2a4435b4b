using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.MLNet;

/// <summary>What CLIP reads of each class.</summary>
internal static class ClassTokens
{
    /// <summary>The tokens of each class's text; texts that are cut or alike are warned of.</summary>
    /// <param name="classes">Their names go into the template, underscores as spaces.</param>
    /// <param name="template">The text, with {} for the name.</param>
    /// <param name="backbone">Knows the vocabulary and the longest text.</param>
    /// <param name="warn">Hears the warnings.</param>
    /// <returns>[class][token], with start and end</returns>
    public static int[][] Of(LabelClasses classes, string template, ClipBackbone backbone, Action<string> warn)
    {
        ClipTokenizer tokenizer = backbone.CreateTokenizer();
        var texts = new int[classes.Count][];
        for (int i = 0; i < texts.Length; i++)
        {
            string text = template.Replace("{}", classes.Names[i].Replace('_', ' '), StringComparison.Ordinal);
            texts[i] = tokenizer.Encode(text, backbone.Config.ContextLength, out bool truncated);
            if (truncated) warn($"The text of class '{classes.Names[i]}' is longer than CLIP's {backbone.Config.ContextLength} tokens; what lies beyond them is not read.");
        }
        foreach (var same in Enumerable.Range(0, texts.Length).GroupBy(i => string.Join(' ', texts[i])).Where(group => group.Count() > 1))
            warn($"CLIP reads the same text for the classes {string.Join(", ", same.Select(i => $"'{classes.Names[i]}'"))} and cannot tell them apart.");
        return texts;
    }
}
