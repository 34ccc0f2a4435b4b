using System.Runtime.CompilerServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.Runtime;

[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Data")]
[assembly: LoadableClass(typeof(FakeTransformer), null, typeof(SignatureLoadModel), "", FakeTransformer.LoaderSignature)]

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>A transformer built from the parts in the MLNet folder around the fake scorer, saved and loaded like the real one.</summary>
internal sealed class FakeTransformer(ModelColumns columns, FakeScorer scorer, string? baseFolder = null) : ITransformer
{
    public const string LoaderSignature = "DplFakeTransformer",
        Stream = "Payload";

    public FakeScorer Scorer => scorer;

    public byte[] Payload { get; init; } = [1, 2, 3];

    /// <summary>Set by a test to make loading fail.</summary>
    [ThreadStatic]
    private static Action<ModelReader>? _onLoad;

    private ScoreSchema Scores { get; } = new(columns.Classes, columns.PredictedLabelColumnName, columns.ScoreColumnName);

    public bool IsRowToRowMapper => true;

    public ModelColumns Columns => columns;

    public static void OnLoad(Action<ModelReader>? action) => _onLoad = action;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ImageColumn.Find(inputSchema, columns.ImageColumnName, new ImageReading(baseFolder));
        return Scores.AppendTo(inputSchema);
    }

    public IDataView Transform(IDataView input) => Transform(input, CancellationToken.None);

    public IDataView Transform(IDataView input, CancellationToken cancellationToken) =>
        new BatchedScoringDataView(
            input,
            ImageColumn.Find(input.Schema, columns.ImageColumnName, new ImageReading(baseFolder)).ScoredBy(scorer),
            Scores,
            cancellationToken
        );

    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) =>
        new ScoringRowMapper(
            inputSchema,
            ImageColumn.Find(inputSchema, columns.ImageColumnName, new ImageReading(baseFolder)).ScoredBy(scorer),
            Scores
        );

    void ICanSaveModel.Save(ModelSaveContext ctx) =>
        ModelZipFormat.Write(
            ctx,
            LoaderSignature,
            typeof(FakeTransformer).Assembly,
            columns,
            """{"fake":true}""",
            RequiredReader.Any,
            (Stream, w => w.Write(Payload))
        );

    private static FakeTransformer Create(IHostEnvironment env, ModelLoadContext ctx) =>
        MLNetInternals.Load(env, ctx, LoaderSignature, typeof(FakeTransformer).Assembly, reader =>
        {
            ModelColumns columns = ModelZipFormat.ReadColumns(reader);
            Assert.Equal("""{"fake":true}""", ModelZipFormat.ReadDescription(reader));
            _onLoad?.Invoke(reader);
            return new FakeTransformer(columns, new FakeScorer(columns.BatchSize) { Order = columns.Classes.Names })
            {
                Payload = ModelZipFormat.ReadStream(reader, Stream, r => r.ReadBytes(100)),
            };
        });
}

/// <summary>The estimator of <see cref="FakeTransformer"/>: it learns only the classes.</summary>
internal sealed class FakeEstimator(FakeScorer scorer) : IEstimator<FakeTransformer>
{
    public string ImageColumnName { get; init; } = "Image";

    public FakeTransformer Fit(IDataView input)
    {
        GetOutputSchema(MLNetInternals.ShapeOf(input.Schema));
        LabelClasses classes = LabelColumn.Find(input.Schema, "Label").ReadClasses(input);
        scorer.Order = classes.Names;
        return new FakeTransformer(new ModelColumns(ImageColumnName, "PredictedLabel", "Score", scorer.BatchSize, classes), scorer);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ImageColumn.Check(inputSchema, ImageColumnName);
        return ScoreSchema.Promise(inputSchema, "Label", "PredictedLabel", "Score");
    }
}
