using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Studies.Plan;

/// <summary>A JSON value of a plan that knows its location, so that errors name the file and the property.</summary>
/// <param name="file">The plan's file, for messages.</param>
/// <param name="path">Path of the value in the plan, such as <c>parts[0].methods[1]</c>; empty for the root.</param>
/// <param name="element">The value.</param>
internal sealed class PlanNode(string file, string path, JsonElement element)
{
    private readonly List<string> _asked = [];

    /// <summary>Path of the value in the plan, for messages.</summary>
    public string Path => path;

    public bool IsText => element.ValueKind == JsonValueKind.String;

    /// <summary>Creates an exception whose message names the file and the property.</summary>
    /// <param name="what">The rest of the sentence that starts with the property's path.</param>
    public InvalidDataException Wrong(string what) =>
        new(path.Length == 0 ? $"The plan '{file}' {what}" : $"The plan '{file}': {path} {what}");

    /// <summary>Returns a property; null if it is missing or null.</summary>
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

    /// <summary>Whether the property exists, even if it is null.</summary>
    public bool Has(string name)
    {
        RequireObject();
        return element.EnumerateObject().Any(property => property.Name == name);
    }

    /// <summary>Returns a required property.</summary>
    public PlanNode Require(string name, string example) => Get(name) ?? throw Wrong($"lacks '{name}': give one, such as {example}.");

    /// <summary>Throws if there are properties that were never read, since they are unknown.</summary>
    public void RequireNoOthers()
    {
        RequireObject();
        foreach (JsonProperty property in element.EnumerateObject())
            if (!_asked.Contains(property.Name))
                throw Wrong($"has an unknown property '{property.Name}'; the known ones are {string.Join(", ", _asked.Distinct())}.");
    }

    public string Text() =>
        element.ValueKind == JsonValueKind.String && element.GetString() is { } text && text.Trim().Length > 0
            ? text.Trim()
            : throw Wrong("must be a text that is not empty.");

    /// <param name="least">The smallest allowed value.</param>
    public int Number(int least) =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int number) && number >= least
            ? number
            : throw Wrong($"must be a whole number of at least {least}.");

    /// <summary>Returns the items of a list, which must not be empty.</summary>
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
