using System.Linq.Expressions;
using System.Reflection;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>A property of <see cref="DplTrainer.Options"/> or of one of its groups.</summary>
internal sealed class TrainerOption
{
    private readonly PropertyInfo[] _path;

    private TrainerOption(PropertyInfo[] path) => _path = path;

    /// <summary>As the library's messages have it: with the group's name and a dot before its own where it is in a group.</summary>
    public string Name => string.Join('.', _path.Select(property => property.Name));

    /// <param name="property">Takes the options and reads the property, as in <c>options =&gt; options.Training.Epochs</c>.</param>
    public static TrainerOption From(LambdaExpression property)
    {
        var path = new Stack<PropertyInfo>();
        // A value type read as an object is converted first.
        Expression? body = property.Body is UnaryExpression { NodeType: ExpressionType.Convert } convert ? convert.Operand : property.Body;
        for (Expression? at = body; at is MemberExpression { Member: PropertyInfo member } access; at = access.Expression)
            path.Push(member);
        return new TrainerOption([.. path]);
    }

    public object? Get(DplTrainer.Options options) => _path[^1].GetValue(Owner(options));

    public void Set(DplTrainer.Options options, object? value) => _path[^1].SetValue(Owner(options), value);

    private object Owner(DplTrainer.Options options) => _path[..^1].Aggregate((object)options, (owner, group) => group.GetValue(owner)!);
}
