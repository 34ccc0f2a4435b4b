namespace Drawing;

/// <summary>An endless series of scenes and captions; equal seed and index give the equal scene and caption. Thread-safe.</summary>
/// <param name="seed">Of the whole series.</param>
public sealed class DrawnPictures(int seed)
{
    /// <summary>The scene and the caption at an index.</summary>
    /// <param name="index">Any number.</param>
    public (Scene Scene, Caption Caption) this[long index]
    {
        get
        {
            var random = new SceneRandom(seed, index);
            Scene scene = Scene.Draw(ref random);
            return (scene, Caption.Write(scene, ref random));
        }
    }
}
