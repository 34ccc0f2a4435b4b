using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;

namespace Microsoft.ML.Dpl.Tool.Options;

/// <summary>The argument and options that say where labelled images come from.</summary>
internal sealed class DataOptions
{
    private readonly Argument<string> _data = new("data")
    {
        Description =
            "A folder with one folder of images for each class (perhaps in train, val and test); a .tsv or .csv table with a path, a class "
            + "and perhaps a split per line; or a split_zhou_*.json file of CoOp.",
    };

    private readonly Option<string?> _validation = new("--validation")
    {
        Description =
            "Validation images, in any of the forms of the data. Default: the data's own validation split, else some training images "
            + "are set aside.",
        HelpName = "data",
    };
    private readonly Option<string?> _test = new("--test")
    {
        Description = "Test images, in any of the forms of the data. Default: the data's own test split.",
        HelpName = "data",
    };
    private readonly Option<string?> _imageRoot = new("--image-root")
    {
        Description = "Folder that relative paths of a table or split file are resolved against. Default: the file's folder.",
        HelpName = "folder",
    };
    private readonly Option<string?> _imageColumn = new("--image-column")
    {
        Description = "A table's column of paths. Default: ImagePath, Image, Path or File.",
        HelpName = "column",
    };
    private readonly Option<string?> _labelColumn = new("--label-column")
    {
        Description = "A table's column of classes. Default: Label, Class or Category.",
        HelpName = "column",
    };
    private readonly Option<string?> _splitColumn = new("--split-column")
    {
        Description = $"A table's column of splits ({SplitNames.Known}). Default: Split, Set or Subset, where there is one.",
        HelpName = "column",
    };
    private readonly Option<string?> _weightColumn = new("--weight-column")
    {
        Description = "A table's column of row weights for training, at least 0. Default: all rows count alike.",
        HelpName = "column",
    };
    private readonly Option<bool> _cleanNames = new("--clean-names")
    {
        Description =
            "Makes class names into words: 001.Black_footed-Albatross becomes Black footed Albatross. Without it only underscores "
            + "become spaces, where CLIP reads them.",
    };
    private readonly Option<string?> _names = new("--names")
    {
        Description = "A table that renames classes: one class per line, with a tab and the words for it.",
        HelpName = "file",
    };
    private readonly Option<int?> _shots = new("--shots")
    {
        Description =
            "Uses that many training images of each class, drawn with --seed, and the same number, but at most 4, of the data's validation "
            + "split; --validation is used whole. From a split_zhou_*.json these are the images that CoOp draws with that seed; from other "
            + "data they are drawn in another way.",
        HelpName = "number",
    };
    private readonly bool _learns;

    /// <param name="learns">Whether the command trains, so that it also has options for validation and test sets, shots and
    /// weights.</param>
    public DataOptions(bool learns) => _learns = learns;

    /// <summary>Adds the argument and the options to a command.</summary>
    public void AddTo(System.CommandLine.Command command)
    {
        command.Arguments.Add(_data);
        Option[] options =
        [
            .. _learns ? new Option[] { _validation, _test, _shots, _weightColumn } : [],
            _imageRoot,
            _imageColumn,
            _labelColumn,
            _splitColumn,
            _cleanNames,
            _names,
        ];
        foreach (Option option in options)
            command.Options.Add(option);
    }

    /// <summary>The files and folders that are read, and so must not be written to.</summary>
    public IEnumerable<string> Inputs(ParseResult arguments) =>
        new[]
        {
            arguments.GetRequiredValue(_data),
            _learns ? arguments.GetValue(_validation) : null,
            _learns ? arguments.GetValue(_test) : null,
            arguments.GetValue(_names),
        }.OfType<string>();

    /// <summary>Whether rows have weights of their own.</summary>
    public bool HasWeights(ParseResult arguments) => _learns && arguments.GetValue(_weightColumn) is not null;

    /// <param name="arguments">The command line.</param>
    /// <param name="cancellationToken">Cancels the search for images in folders.</param>
    /// <param name="seed">Seed of the few-shot draw.</param>
    /// <exception cref="IOException">A file or folder is missing or cannot be read.</exception>
    /// <exception cref="InvalidDataException">The data has none of the supported forms; the message names the place.</exception>
    /// <exception cref="OperationCanceledException">The search for images was cancelled.</exception>
    public ImageSets Read(ParseResult arguments, CancellationToken cancellationToken, int seed = 0)
    {
        ImageSets Read(string path, bool isFirst) => this.Read(arguments, path, isFirst, cancellationToken);
        ImageSets sets = Read(arguments.GetRequiredValue(_data), isFirst: true);
        if (_learns && arguments.GetValue(_validation) is { } validation)
            sets = sets with { Validation = [.. Read(validation, isFirst: false).All], ValidationSource = validation };
        if (_learns && arguments.GetValue(_test) is { } test)
            sets = sets with { Test = [.. Read(test, isFirst: false).ToEvaluate], TestSource = test };
        if (arguments.GetValue(_cleanNames))
            sets = ClassNames.Clean(sets);
        if (arguments.GetValue(_names) is { } names)
            sets = ClassNames.Rename(sets, names);
        if (sets.Classes.Where(ClassNames.IsCode).ToArray() is [var code, ..])
            Terminal.Warn(
                $"CLIP reads the names of the classes, and '{code}' means nothing to it. Give words with --names: a table of one class per "
                    + "line, with a tab and the words for it."
            );
        if (!_learns || arguments.GetValue(_shots) is not int shots)
            return sets;
        if (shots < 1)
            throw new ArgumentException($"--shots must be at least 1; it is {shots}.");
        if (sets.Train.CountBy(row => row.Label).Where(count => count.Value < shots).ToArray() is [var few, ..] all)
            Terminal.Warn(
                $"{all.Length} classes have fewer than --shots {shots} training images, of which all are used; '{few.Key}' has {few.Value}."
            );
        ImageSets drawn = FewShotDraw.Draw(sets, shots, seed);
        // Validation images that were named are the ones to use.
        return sets.ValidationSource is null ? drawn : drawn with { Validation = sets.Validation };
    }

    private ImageSets Read(ParseResult arguments, string path, bool isFirst, CancellationToken cancellationToken)
    {
        string? root = arguments.GetValue(_imageRoot);
        if (root is not null && !Directory.Exists(root))
            throw new DirectoryNotFoundException($"There is no folder '{root}' (--image-root).");
        return ImageData.Read(
            path,
            new TableColumns(
                arguments.GetValue(_imageColumn),
                arguments.GetValue(_labelColumn),
                arguments.GetValue(_splitColumn),
                _learns ? arguments.GetValue(_weightColumn) : null,
                NeedsAll: isFirst
            ),
            root,
            Terminal.Warn,
            cancellationToken
        );
    }
}
