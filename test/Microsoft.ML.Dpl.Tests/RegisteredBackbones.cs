using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Registers a backbone when a context is created, so that both fit into one expression.</summary>
internal static class RegisteredBackbones
{
    public static MLContext Knowing(this MLContext mlContext, ClipBackbone backbone)
    {
        backbone.Register();
        return mlContext;
    }
}
