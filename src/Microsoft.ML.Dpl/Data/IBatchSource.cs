using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Data;

/// <summary>A batch of images ready for the image tower, and their classes. Owns its tensors.</summary>
/// <param name="Images">[batch, 3, size, size] float32, normalised</param>
/// <param name="Labels">[batch] int64, class indices from 0</param>
/// <param name="Weights">[batch] float32, weights of the images in the loss, 1 on average over all batches; null if all are equal</param>
/// <param name="SourceRows">The rows of the images in their source; null if they are not known.</param>
internal sealed record ImageBatch(Tensor Images, Tensor Labels, Tensor? Weights = null, IReadOnlyList<int>? SourceRows = null) : IDisposable
{
    /// <summary>Copies images to the device and normalises them there. The result is detached from dispose scopes.</summary>
    /// <param name="pixels">[batch, 3, size, size] uint8 on the CPU; owned by the caller.</param>
    /// <param name="labels">The class index of each image.</param>
    /// <param name="processor">The processor with the channels' means and deviations.</param>
    /// <param name="device">The device of the batch.</param>
    /// <param name="weights">A weight for each image, or null.</param>
    public static ImageBatch Create(
        Tensor pixels,
        IEnumerable<int> labels,
        ClipImageProcessor processor,
        Device device,
        IEnumerable<float>? weights = null
    )
    {
        using var scope = NewDisposeScope();
        Tensor images = processor.Normalise(pixels.to(device));
        Tensor indices = tensor([.. labels.Select(l => (long)l)], device: device);
        Tensor? counts = weights is null ? null : NativeTensor.From(weights.ToArray(), device: device);
        return new ImageBatch(images.DetachFromDisposeScope(), indices.DetachFromDisposeScope(), counts?.DetachFromDisposeScope());
    }

    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
        Weights?.Dispose();
    }
}

/// <summary>
/// Batches that depend only on their epoch and index, so that they can be created ahead of time, or again after a restart.
/// </summary>
internal interface IBatchSource
{
    int BatchesPerEpoch { get; }

    /// <summary>Batch <paramref name="index"/> of <paramref name="epoch"/>, both from 0. The caller disposes it.</summary>
    ImageBatch Read(int epoch, int index);
}

/// <summary>
/// Creates the following batches on a background thread while the current one is in use. Returns the same batches as the source; exceptions
/// of the source are thrown by the <see cref="Read"/> that asks for the batch.
/// </summary>
internal sealed class ReadAheadBatches : IBatchSource, IDisposable
{
    private readonly IBatchSource _source;
    private readonly int _ahead;
    private readonly Queue<Request> _pending = new();
    private readonly BlockingCollection<Request> _work = [];
    private readonly Thread _worker; // only one, since every thread that computes has its own team of libtorch threads
    private bool _disposed;

    /// <param name="source">The source, read from one background thread only; not owned.</param>
    /// <param name="ahead">Number of batches created ahead of time, at least 1.</param>
    public ReadAheadBatches(IBatchSource source, int ahead = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ahead, 1);
        (_source, _ahead) = (source, ahead);
        _worker = new Thread(Work) { IsBackground = true, Name = "DPL batches" };
        _worker.Start();
    }

    /// <inheritdoc/>
    public int BatchesPerEpoch => _source.BatchesPerEpoch;

    /// <inheritdoc/>
    public ImageBatch Read(int epoch, int index)
    {
        Request wanted;
        lock (_pending)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_pending.TryPeek(out Request? first) || first.Epoch != epoch || first.Index != index)
            {
                AbandonPending();
                Ask(epoch, index);
            }
            wanted = _pending.Dequeue();
            Request last = _pending.LastOrDefault(wanted);
            while (_pending.Count < _ahead)
                last = last.Index + 1 < BatchesPerEpoch ? Ask(last.Epoch, last.Index + 1) : Ask(last.Epoch + 1, 0);
        }
        return wanted.Batch.Task.GetAwaiter().GetResult();
    }

    /// <summary>Waits for the batch in progress, then disposes all batches that were not read.</summary>
    public void Dispose()
    {
        lock (_pending)
        {
            if (_disposed)
                return;
            _disposed = true;
            AbandonPending();
            _work.CompleteAdding();
        }
        _worker.Join();
        _work.Dispose();
    }

    private Request Ask(int epoch, int index)
    {
        var request = new Request(epoch, index);
        _pending.Enqueue(request);
        _work.Add(request);
        return request;
    }

    private void AbandonPending()
    {
        while (_pending.TryDequeue(out Request? request))
            request.Abandon();
    }

    private void Work()
    {
        foreach (Request request in _work.GetConsumingEnumerable())
            request.Fulfil(_source);
    }

    private sealed record Request(int Epoch, int Index)
    {
        private volatile bool _abandoned;

        public TaskCompletionSource<ImageBatch> Batch { get; } = new();

        public void Fulfil(IBatchSource source)
        {
            if (_abandoned)
            {
                Batch.SetCanceled();
                return;
            }
            try
            {
                Batch.SetResult(source.Read(Epoch, Index));
            }
            catch (Exception e)
            {
                Batch.SetException(e); // rethrown by the Read that asks for this batch
            }
        }

        /// <summary>Marks a batch that will not be read: it is not created, or is disposed once it is.</summary>
        public void Abandon()
        {
            _abandoned = true;
            Batch.Task.ContinueWith(
                made => made.Result.Dispose(),
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default
            );
        }
    }
}
