using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests;

/// <summary>Registers where a context is made, so that it can be written as one expression.</summary>
internal static class RegisteredBackbones
{
    public static MLContext Knowing(this MLContext mlContext, ClipBackbone backbone)
    {
        backbone.Register();
        return mlContext;
    }
}
