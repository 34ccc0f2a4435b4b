namespace Drawing;

/// <summary>An endless series of scenes and captions; equal seed and index give the equal scene and caption. Thread-safe.</summary>
/// <param name="seed">Of the whole series.</param>
/// <param name="easyBefore">
/// Index before which scenes are made easier, altogether at 0 and ever less towards it (curriculum learning: Bengio et al. 2009). Without
/// that a shape says nothing about any one pixel, since every colour may be figure or ground, and training stays long where it begins.
/// </param>
public sealed class DrawnImages(int seed, long easyBefore = 0)
{
    /// <summary>The scene and the caption at an index.</summary>
    /// <param name="index">Any number.</param>
    public (Scene Scene, Caption Caption) this[long index]
    {
        get
        {
            var random = new SceneRandom(seed, index);
            Scene scene = Scene.Draw(ref random);
            if (index < easyBefore)
                scene = scene.MadeEasier(1 - (float)index / easyBefore, ref random);
            return (scene, Caption.Write(scene, ref random));
        }
    }
}
