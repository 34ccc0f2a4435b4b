using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>
/// libtorch's switch for <see cref="DplPrecision.TensorFloat32"/>, which is one for the whole process: on while anybody holds a
/// permission, then as it was.
/// </summary>
internal static class TensorFloat32
{
    private static readonly object Gate = new();
    private static int _holders;
    private static bool _before;

    /// <summary>Lets products on a GPU round to TF32 until the result is disposed.</summary>
    public static IDisposable Allow()
    {
        lock (Gate)
        {
            if (_holders == 0)
            {
                _before = backends.cuda.matmul.allow_tf32;
                backends.cuda.matmul.allow_tf32 = true;
            }
            _holders++;
        }
        return new Permission();
    }

    private sealed class Permission : IDisposable
    {
        private int _over;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _over, 1) == 1)
                return;
            lock (Gate)
            {
                if (--_holders == 0)
                    backends.cuda.matmul.allow_tf32 = _before;
            }
        }
    }
}
