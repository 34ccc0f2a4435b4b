using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>Options of the command that stand for options of the trainer, with its defaults.</summary>
internal abstract class OptionGroup
{
    /// <summary>The trainer's own defaults, so that there is one place that says them.</summary>
    protected static readonly DplTrainer.Options Defaults = new();

    private readonly List<Option> _options = [];
    private readonly List<Action<ParseResult, DplTrainer.Options>> _apply = [];

    public void AddTo(System.CommandLine.Command command)
    {
        foreach (Option option in _options) command.Options.Add(option);
    }

    /// <summary>Sets what the command line says.</summary>
    public virtual void Apply(ParseResult arguments, DplTrainer.Options options)
    {
        foreach (Action<ParseResult, DplTrainer.Options> apply in _apply) apply(arguments, options);
    }

    /// <summary>An option with the trainer's default.</summary>
    protected Option<T> Add<T>(string name, string description, T standard, Action<DplTrainer.Options, T> set)
    {
        var option = new Option<T>(name) { Description = description, DefaultValueFactory = _ => standard };
        _options.Add(option);
        _apply.Add((arguments, options) => set(options, arguments.GetRequiredValue(option)));
        return option;
    }

    /// <summary>An option that is left alone where it is not given.</summary>
    protected Option<T?> AddOptional<T>(string name, string description, Action<DplTrainer.Options, T> set)
    {
        var option = new Option<T?>(name) { Description = description };
        _options.Add(option);
        _apply.Add((arguments, options) =>
        {
            if (arguments.GetValue(option) is { } value) set(options, value);
        });
        return option;
    }

    /// <summary>A number that is left alone where it is not given.</summary>
    protected void AddNumber<T>(string name, string description, Action<DplTrainer.Options, T> set)
        where T : struct
    {
        var option = new Option<T?>(name) { Description = description };
        _options.Add(option);
        _apply.Add((arguments, options) =>
        {
            if (arguments.GetValue(option) is T value) set(options, value);
        });
    }

    /// <summary>An option that is on where it is named.</summary>
    protected void AddSwitch(string name, string description, Action<DplTrainer.Options> set)
    {
        var option = new Option<bool>(name) { Description = description };
        _options.Add(option);
        _apply.Add((arguments, options) =>
        {
            if (arguments.GetValue(option)) set(options);
        });
    }
}
