using System.CommandLine;
using System.Linq.Expressions;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>A group of command-line options that map to options of the trainer and have its defaults.</summary>
internal abstract class OptionGroup
{
    /// <summary>The trainer's own defaults, so that they are defined in one place.</summary>
    protected static readonly DplTrainer.Options Defaults = new();

    private readonly List<Option> _options = [];
    private readonly List<Action<ParseResult, DplTrainer.Options>> _apply = [];

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in _options)
            command.Options.Add(option);
    }

    /// <summary>Sets the trainer's options from the command line.</summary>
    public void Apply(ParseResult arguments, DplTrainer.Options options)
    {
        foreach (Action<ParseResult, DplTrainer.Options> apply in _apply)
            apply(arguments, options);
    }

    /// <summary>Adds an option with the trainer's default.</summary>
    /// <param name="name">The option's name, including the hyphens.</param>
    /// <param name="description">The help text.</param>
    /// <param name="property">The trainer's option.</param>
    protected void Add<T>(string name, string description, Expression<Func<DplTrainer.Options, T>> property)
    {
        TrainerOption target = Target(name, property);
        var option = new Option<T>(name)
        {
            Description = description,
            HelpName = HelpName(typeof(T)),
            DefaultValueFactory = _ => (T)target.Get(Defaults)!,
        };
        Add(option, (arguments, options) => target.Set(options, arguments.GetRequiredValue(option)));
    }

    /// <summary>Adds an option that changes the trainer's option only if it is given.</summary>
    /// <param name="name">The option's name, including the hyphens.</param>
    /// <param name="description">The help text.</param>
    /// <param name="property">The trainer's option.</param>
    /// <param name="helpName">The name of the value in the help; null: by type.</param>
    protected void AddOptional<T>(
        string name,
        string description,
        Expression<Func<DplTrainer.Options, T>> property,
        string? helpName = null
    )
    {
        TrainerOption target = Target(name, property);
        var option = new Option<T?>(name) { Description = description, HelpName = helpName ?? HelpName(typeof(T)) };
        Add(option, (arguments, options) =>
        {
            if (arguments.GetValue(option) is { } value)
                target.Set(options, value);
        });
    }

    /// <summary>Adds a switch that sets a Boolean option of the trainer if it is given.</summary>
    /// <param name="name">The option's name, including the hyphens.</param>
    /// <param name="description">The help text.</param>
    /// <param name="property">The trainer's option.</param>
    /// <param name="value">The value to set.</param>
    protected void AddSwitch(string name, string description, Expression<Func<DplTrainer.Options, bool>> property, bool value = true) =>
        AddSwitch(name, description, (LambdaExpression)property, value);

    /// <inheritdoc cref="AddSwitch(string, string, Expression{Func{DplTrainer.Options, bool}}, bool)"/>
    protected void AddSwitch(string name, string description, Expression<Func<DplTrainer.Options, bool?>> property, bool value) =>
        AddSwitch(name, description, (LambdaExpression)property, value);

    private void AddSwitch(string name, string description, LambdaExpression property, bool value)
    {
        TrainerOption target = Target(name, property);
        var option = new Option<bool>(name) { Description = description };
        Add(option, (arguments, options) =>
        {
            if (arguments.GetValue(option))
                target.Set(options, value);
        });
    }

    /// <summary>Adds an option with a custom way of applying it.</summary>
    protected void Add(Option option, Action<ParseResult, DplTrainer.Options> apply)
    {
        _options.Add(option);
        _apply.Add(apply);
    }

    private static TrainerOption Target(string name, LambdaExpression property)
    {
        var target = TrainerOption.From(property);
        TrainerOptionNames.Add(target.Name, name);
        return target;
    }

    private static string? HelpName(Type type) => (Nullable.GetUnderlyingType(type) ?? type) == typeof(string) ? "text" : "number";
}
