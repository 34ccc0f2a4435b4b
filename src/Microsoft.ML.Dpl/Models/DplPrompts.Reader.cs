using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.TensorFiles;

namespace Microsoft.ML.Dpl;

// The names in the files, and their reading.
public sealed partial record DplPrompts
{
    private const string TextPrefix = "text.",
        ImagePrefix = "image.",
        OptionalPrefix = "prompts.",
        ClassFeaturesName = "class_features";
    private const string ConfigurationName = "configuration",
        ClassesName = "classes",
        TemplateName = "template",
        BackboneNameName = "backbone",
        BackboneSha256Name = "backbone_sha256",
        LogitScaleName = "logit_scale";
    private const string LabelName = "label",
        TextLabel = "text",
        KeyLabel = "key";
    private const int MostLayers = 1000;

    // Class names in other scripts stay readable; nothing of this goes into a page.
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private sealed class Reader(ITensorSource source)
    {
        public DplPrompts Read()
        {
            string? stated = source.Metadata.GetValueOrDefault(ConfigurationName);
            PromptConfiguration? configuration = stated is null
                ? null
                : Understood(ConfigurationName, () => PromptConfiguration.Parse(stated));
            Dictionary<int, string> text = Named(TextPrefix),
                image = Named(ImagePrefix);
            if (configuration is null && text.Count + image.Count == 0)
                throw new InvalidDataException(
                    $"{source.Location} holds no prompts: arrays named {TextPrefix}0, {ImagePrefix}0 and so on, or the text "
                        + $"'{ConfigurationName}', are expected."
                );
            var prompts = new DplPrompts(Layers(TextPrefix, text, configuration?.Text), Layers(ImagePrefix, image, configuration?.Image))
            {
                LayersAreCounted = configuration is null,
                ClassNames = source.Metadata.TryGetValue(ClassesName, out string? classes)
                    ? Understood(ClassesName, () => NamesIn(classes))
                    : null,
                BackboneName = source.Metadata.GetValueOrDefault(BackboneNameName),
                BackboneSha256 = source.Metadata.GetValueOrDefault(BackboneSha256Name),
                ClassFeatures = source.Entries.ContainsKey(ClassFeaturesName) ? Matrix(ClassFeaturesName) : null,
                LogitScale = source.Metadata.TryGetValue(LogitScaleName, out string? scale)
                    ? Understood<double>(LogitScaleName, () => ScaleIn(scale))
                    : null,
                Alphas = AlphaHistory.ReadFrom(source, candidateLengths: null),
                Label = source.Metadata.TryGetValue(LabelName, out string? label) ? Understood(LabelName, () => LabelOf(label)) : null,
            };
            return source.Metadata.TryGetValue(TemplateName, out string? template) ? prompts with { Template = template } : prompts;
        }

        /// <summary>The arrays' names by layer.</summary>
        private Dictionary<int, string> Named(string prefix)
        {
            var found = new Dictionary<int, string>();
            foreach (string name in source.Entries.Keys)
            {
                string rest = name.StartsWith(OptionalPrefix, StringComparison.Ordinal) ? name[OptionalPrefix.Length..] : name;
                if (
                    !rest.StartsWith(prefix, StringComparison.Ordinal)
                    || !int.TryParse(rest.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
                )
                    continue;
                if (layer >= MostLayers)
                    throw new InvalidDataException(
                        $"{source.Location}: '{name}' names layer {layer}; more than {MostLayers} layers are not expected."
                    );
                if (!found.TryAdd(layer, name))
                    throw new InvalidDataException($"{source.Location}: '{found[layer]}' and '{name}' are the same layer's prompt.");
            }
            return found;
        }

        private float[,]?[] Layers(string prefix, Dictionary<int, string> named, IReadOnlyList<int>? lengths)
        {
            int count = lengths?.Count ?? named.Keys.DefaultIfEmpty(0).Max() + 1;
            foreach (var (layer, name) in named)
                if (layer >= count)
                    throw new InvalidDataException(
                        $"{source.Location}: '{name}' is the prompt of a layer that the '{ConfigurationName}' does not have."
                    );
            var layers = new float[,]?[count];
            for (int layer = 0; layer < count; layer++)
            {
                float[,]? rows = named.TryGetValue(layer, out string? name) ? Matrix(name) : null;
                int length = rows?.GetLength(0) ?? 0;
                if (length > PromptConfiguration.MaximumLength)
                    throw new InvalidDataException(
                        $"{source.Location}: '{name}' has {length} rows; a layer can have at most {PromptConfiguration.MaximumLength}."
                    );
                if (lengths is not null && lengths[layer] != length)
                    throw new InvalidDataException(
                        $"{source.Location}: the '{ConfigurationName}' asks for {lengths[layer]} rows of {prefix}{layer}, but there "
                            + $"are {length}."
                    );
                layers[layer] = length == 0 ? null : rows;
            }
            return layers;
        }

        private float[,] Matrix(string name)
        {
            var (values, shape) = ArrayFiles.ReadFloats(source, name);
            if (shape is not [var rows, var columns])
                throw new InvalidDataException(
                    $"{source.Location}: '{name}' has the shape [{string.Join(", ", shape)}]; rows and columns are expected."
                );
            var matrix = new float[rows, columns];
            Buffer.BlockCopy(values, 0, matrix, 0, values.Length * sizeof(float));
            return matrix;
        }

        private T Understood<T>(string name, Func<T> read)
        {
            try
            {
                return read();
            }
            catch (Exception e) when (e is JsonException or FormatException or ArgumentException)
            {
                throw new InvalidDataException($"{source.Location}: the text '{name}' cannot be read: {e.Message}", e);
            }
        }

        private static string[]? NamesIn(string json)
        {
            string?[]? names = JsonSerializer.Deserialize<string?[]>(json);
            if (names is not null && names.Any(string.IsNullOrWhiteSpace))
                throw new FormatException("a class has no name.");
            return names?.OfType<string>().ToArray();
        }

        private static double ScaleIn(string text)
        {
            double scale = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
            return scale > 0 && double.IsFinite(scale) ? scale : throw new FormatException($"'{text}' is not above 0 and finite.");
        }

        private static (LabelKind Kind, PrimitiveDataViewType ValueType)? LabelOf(string label) =>
            label == TextLabel ? (LabelKind.Text, TextDataViewType.Instance)
            : label.Split(' ') is [KeyLabel, var type] ? (LabelKind.Key, KeyValueAnnotation.TypeNamed(type))
            : throw new FormatException($"'{label}' is no kind of label; '{TextLabel}' or '{KeyLabel} String' is expected.");
    }
}
