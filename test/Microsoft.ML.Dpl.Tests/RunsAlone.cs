namespace Microsoft.ML.Dpl.Tests;

/// <summary>Tests that count things of the whole process: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public class RunsAlone
{
    public const string Name = "Runs alone";
}
