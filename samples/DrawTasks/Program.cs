using System.CommandLine;
using Drawing.Tasks;
using Spectre.Console;

var output = new Option<DirectoryInfo>("--output") { Description = "Folder for the images, with one folder per task.", Required = true };
var name = new Option<string>("--task")
{
    Description = $"all, or one of {string.Join(", ", DrawnTasks.All.Select(task => task.Name))}.",
    DefaultValueFactory = _ => "all",
};
var train = new Option<int>("--train") { Description = "Training images per class.", DefaultValueFactory = _ => 16 };
var validation = new Option<int>("--validation") { Description = "Validation images per class.", DefaultValueFactory = _ => 4 };
var test = new Option<int>("--test") { Description = "Test images per class.", DefaultValueFactory = _ => 50 };
var seed = new Option<int>("--seed") { Description = "Equal seeds give equal files.", DefaultValueFactory = _ => 1 };
var size = new Option<int>("--size") { Description = "Width and height in pixels.", DefaultValueFactory = _ => DrawnTaskFiles.DefaultSize };
var sheet = new Option<bool>("--sheet") { Description = "Write a contact sheet of each task too, to look at." };

var root = new RootCommand("Draws eleven classification tasks: images and tables as QuickStart reads them.")
{
    output,
    name,
    train,
    validation,
    test,
    seed,
    size,
    sheet,
};
root.SetAction(arguments =>
{
    try
    {
        string wanted = arguments.GetRequiredValue(name),
            folder = arguments.GetRequiredValue(output).FullName;
        var summary = new Table()
            .AddColumn("task")
            .AddColumn(new TableColumn("classes").RightAligned())
            .AddColumn(new TableColumn("images").RightAligned())
            .AddColumn("template")
            .AddColumn("what it shows");
        foreach (DrawnTask task in wanted == "all" ? DrawnTasks.All : [DrawnTasks.Named(wanted)])
        {
            int images = 0;
            DrawnTaskFiles.Write(
                task,
                Path.Combine(folder, task.Name),
                arguments.GetValue(train),
                arguments.GetValue(validation),
                arguments.GetValue(test),
                arguments.GetValue(seed),
                arguments.GetValue(size),
                written: () => images++
            );
            if (arguments.GetValue(sheet))
                ContactSheet.Write(task, Path.Combine(folder, task.Name + ".png"), arguments.GetValue(seed), arguments.GetValue(size));
            summary.AddRow(
                Markup.Escape(task.Name),
                $"{task.ClassNames.Count}",
                $"{images}",
                Markup.Escape(task.Template),
                Markup.Escape(task.Description)
            );
        }
        AnsiConsole.Write(summary);
        Console.WriteLine($"Written to {folder}.");
        return 0;
    }
    catch (Exception e) when (e is ArgumentException or IOException or UnauthorizedAccessException)
    {
        // Errors in the input are shown as one line without a stack trace.
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return root.Parse(args).Invoke();
