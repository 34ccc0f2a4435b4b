using System.Linq.Expressions;
using System.Reflection;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>A property of <see cref="DplTrainer.Options"/> or of one of its groups.</summary>
internal sealed class TrainerOption
{
    private readonly PropertyInfo[] _path;

    private TrainerOption(PropertyInfo[] path) => _path = path;

    /// <summary>The name as in the library's messages; in a group it is prefixed with the group's name and a dot.</summary>
    public string Name => string.Join('.', _path.Select(property => property.Name));

    /// <param name="property">A lambda that reads the property, such as <c>options =&gt; options.Training.Epochs</c>.</param>
    public static TrainerOption From(LambdaExpression property)
    {
        var path = new Stack<PropertyInfo>();
        // A lambda that returns object boxes a value type, which wraps the member access in a conversion.
        Expression? body = property.Body is UnaryExpression { NodeType: ExpressionType.Convert } convert ? convert.Operand : property.Body;
        for (Expression? at = body; at is MemberExpression { Member: PropertyInfo member } access; at = access.Expression)
            path.Push(member);
        return new TrainerOption([.. path]);
    }

    public object? Get(DplTrainer.Options options) => _path[^1].GetValue(Owner(options));

    public void Set(DplTrainer.Options options, object? value) => _path[^1].SetValue(Owner(options), value);

    private object Owner(DplTrainer.Options options) => _path[..^1].Aggregate((object)options, (owner, group) => group.GetValue(owner)!);
}
