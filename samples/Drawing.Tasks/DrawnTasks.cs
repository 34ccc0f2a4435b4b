using Drawing.Tasks.Generators;

namespace Drawing.Tasks;

/// <summary>The eleven drawn tasks, one for each kind of data set that prompt learning is usually evaluated on.</summary>
public static class DrawnTasks
{
    /// <summary>All tasks.</summary>
    public static IReadOnlyList<DrawnTask> All { get; } =
    [
        new ObjectsTask(),
        new TexturesTask(),
        new VariantsTask(),
        new CountingTask(),
        new LightingTask(),
        new SketchesTask(),
        new TilingsTask(),
        new ScenesTask(),
        new ActionsTask(),
        new ViewsTask(),
        new NoisyTask(),
    ];

    /// <summary>Finds a task by its name.</summary>
    /// <exception cref="ArgumentException">There is no such task; the message lists the existing ones.</exception>
    public static DrawnTask Named(string name) =>
        All.FirstOrDefault(task => task.Name == name)
        ?? throw new ArgumentException($"There is no task '{name}'. Choose one of {string.Join(", ", All.Select(task => task.Name))}.");
}
