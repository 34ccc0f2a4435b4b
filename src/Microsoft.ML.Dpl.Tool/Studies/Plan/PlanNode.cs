using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>A JSON value of a plan that knows where it stands, so that what is wrong with it is told by file and property.</summary>
/// <param name="file">The plan.</param>
/// <param name="path">Such as <c>parts[0].methods[1]</c>; empty for the whole.</param>
/// <param name="element">The value.</param>
internal sealed class PlanNode(string file, string path, JsonElement element)
{
    private readonly List<string> _asked = [];

    /// <summary>For messages about it.</summary>
    public string Path => path;

    public bool IsText => element.ValueKind == JsonValueKind.String;

    /// <summary>What is wrong, as a sentence that names the place.</summary>
    /// <param name="what">Begins behind the property's name.</param>
    public InvalidDataException Wrong(string what) =>
        new(path.Length == 0 ? $"The plan '{file}' {what}" : $"The plan '{file}': {path} {what}");

    /// <summary>A property; null where it is missing or null.</summary>
    public PlanNode? Get(string name)
    {
        RequireObject();
        _asked.Add(name);
        JsonProperty[] found = [.. element.EnumerateObject().Where(property => property.Name == name)];
        if (found.Length > 1)
            throw Wrong($"has '{name}' twice: leave one of them out.");
        string at = path.Length == 0 ? name : $"{path}.{name}";
        return found is [{ Value.ValueKind: not JsonValueKind.Null } property] ? new PlanNode(file, at, property.Value) : null;
    }

    /// <summary>Whether the property is there, be it null.</summary>
    public bool Has(string name)
    {
        RequireObject();
        return element.EnumerateObject().Any(property => property.Name == name);
    }

    /// <summary>A property that must be there.</summary>
    public PlanNode Require(string name, string example) => Get(name) ?? throw Wrong($"lacks '{name}': give one, such as {example}.");

    /// <summary>Refuses properties that nobody asked for.</summary>
    public void RequireNoOthers()
    {
        RequireObject();
        foreach (JsonProperty property in element.EnumerateObject())
            if (!_asked.Contains(property.Name))
                throw Wrong($"has a property '{property.Name}', which is not known: known are {string.Join(", ", _asked.Distinct())}.");
    }

    public string Text() =>
        element.ValueKind == JsonValueKind.String && element.GetString() is { } text && text.Trim().Length > 0
            ? text.Trim()
            : throw Wrong("must be a text that is not empty.");

    /// <param name="least">The smallest allowed.</param>
    public int Number(int least) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int number) && number >= least
            ? number
            : throw Wrong($"must be a whole number of at least {least}.");

    /// <summary>The values of a list with at least one.</summary>
    public IReadOnlyList<PlanNode> Items()
    {
        if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() == 0)
            throw Wrong("must be a list in [] with at least one value.");
        return [.. element.EnumerateArray().Select((item, index) => new PlanNode(file, $"{path}[{index}]", item))];
    }

    private void RequireObject()
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw Wrong("must be an object in {}.");
    }
}
