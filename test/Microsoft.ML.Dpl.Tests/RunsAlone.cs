namespace Microsoft.ML.Dpl.Tests;

/// <summary>Tests that count things in the whole process, so nothing else may run in parallel.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public class RunsAlone
{
    public const string Name = "Runs alone";
}
