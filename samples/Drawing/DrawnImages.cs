namespace Drawing;

/// <summary>An endless series of scenes and captions; equal seeds and indices give equal scenes and captions. Thread-safe.</summary>
/// <param name="seed">The seed of the whole series.</param>
/// <param name="easyBefore">
/// The index before which scenes are simplified: fully at index 0 and less and less towards this one (curriculum learning: Bengio et al.
/// 2009). Otherwise a shape says nothing about any single pixel, since every colour may be figure or background, and training makes no
/// progress for a long time.
/// </param>
public sealed class DrawnImages(int seed, long easyBefore = 0)
{
    /// <summary>Returns the scene and the caption at an index.</summary>
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
