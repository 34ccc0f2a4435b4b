using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Microsoft.Extensions.Options;

namespace WebApp;

/// <summary>
/// Batches images of concurrent requests: one forward pass of sixteen images costs far less than sixteen of one. The first image of a batch
/// waits a few milliseconds for others. The queue is bounded, so that overload is rejected at once instead of slowing everything down.
/// </summary>
internal sealed class PredictionQueue(ModelHost host, IOptions<ClassifierOptions> options, ILogger<PredictionQueue> log) : BackgroundService
{
    private readonly ClassifierOptions _options = options.Value;

    // Unbounded, because places of cancelled requests stay in it, empty, until a worker skips them; _length counts the others.
    private readonly Channel<Place> _channel = Channel.CreateUnbounded<Place>();
    private int _length;
    private long _images,
        _batches;

    /// <summary>Number of images that are waiting for a forward pass.</summary>
    public int Length => Volatile.Read(ref _length);

    /// <summary>Number of images scored since the start.</summary>
    public long Images => Interlocked.Read(ref _images);

    /// <summary>Number of forward passes since the start.</summary>
    public long Batches => Interlocked.Read(ref _batches);

    /// <summary>Queues an image unless the queue is full.</summary>
    /// <param name="image">An encoded image file.</param>
    /// <param name="cancellationToken">Cancels the request; an image that is still waiting leaves the queue at once.</param>
    /// <param name="answer">The probabilities of the classes; null if the queue is full. Fails with
    /// <see cref="UndecodableImageException"/>. Once it has completed, the queue has finished with the image.</param>
    public bool TryAdd(byte[] image, CancellationToken cancellationToken, [NotNullWhen(true)] out Task<float[]>? answer)
    {
        answer = null;
        if (Interlocked.Increment(ref _length) > _options.QueueLength)
        {
            Interlocked.Decrement(ref _length);
            return false;
        }
        var waiting = new Waiting(image);
        var place = new Place(waiting);
        // The token of a request ends with the request, and the registration with it.
        cancellationToken.Register(() => Take(place)?.Answer.TrySetCanceled(cancellationToken));
        if (!_channel.Writer.TryWrite(place))
        {
            Take(place);
            return false;
        }
        answer = waiting.Answer.Task;
        return true;
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Enumerable.Range(0, _options.Workers).Select(_ => Task.Run(() => Work(stoppingToken), stoppingToken)));

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _channel.Writer.Complete();
        await base.StopAsync(cancellationToken);
        while (_channel.Reader.TryRead(out Place? left))
            Take(left)?.Answer.TrySetCanceled(CancellationToken.None);
    }

    private async Task Work(CancellationToken stopping)
    {
        try
        {
            while (await _channel.Reader.WaitToReadAsync(stopping))
            {
                if (Length < _options.MaxBatch && _options.BatchWaitMilliseconds > 0)
                    await Task.Delay(_options.BatchWaitMilliseconds, stopping);
                Score(NextBatch());
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            log.LogDebug("A worker has stopped; {Count} images are left and will be cancelled.", Length);
        }
    }

    private List<Waiting> NextBatch()
    {
        var batch = new List<Waiting>(_options.MaxBatch);
        while (batch.Count < _options.MaxBatch && _channel.Reader.TryRead(out Place? next))
        {
            if (Take(next) is { } waiting)
                batch.Add(waiting);
        }
        return batch;
    }

    /// <summary>Takes the image out of a place; null if it was taken already.</summary>
    private Waiting? Take(Place place)
    {
        Waiting? waiting = place.Empty();
        if (waiting is not null)
            Interlocked.Decrement(ref _length);
        return waiting;
    }

    private void Score(IReadOnlyList<Waiting> batch)
    {
        if (batch.Count == 0)
            return;
        try
        {
            ServedModel model = host.Model ?? throw new UnreachableException("An image was queued before the model was ready.");
            float[][] scores = model.Score([.. batch.Select(waiting => waiting.Image)]);
            Interlocked.Add(ref _images, batch.Count);
            Interlocked.Increment(ref _batches);
            foreach (var (waiting, score) in batch.Zip(scores))
                waiting.Answer.TrySetResult(score);
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException && batch.Count > 1)
        {
            // A broken image fails the whole pass, so score the images of the batch individually.
            foreach (Waiting waiting in batch)
                Score([waiting]);
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
        {
            batch[0].Answer.TrySetException(new UndecodableImageException(e));
        }
        catch (Exception e)
        {
            // The waiting requests fail with status 500; the worker continues with the next batch.
            log.LogError(e, "A forward pass of {Count} images failed.", batch.Count);
            foreach (Waiting waiting in batch)
                waiting.Answer.TrySetException(e);
        }
    }

    /// <summary>A place in the queue. It is emptied once: by a worker, by the cancellation of its request, or at the end.</summary>
    private sealed class Place(Waiting waiting)
    {
        private Waiting? _waiting = waiting;

        /// <summary>Empties the place; null if it was empty.</summary>
        public Waiting? Empty() => Interlocked.Exchange(ref _waiting, null);
    }

    private sealed record Waiting(byte[] Image)
    {
        public TaskCompletionSource<float[]> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A file starts like an image, but its pixels cannot be decoded.</summary>
internal sealed class UndecodableImageException(Exception cause) : Exception(cause.Message, cause);
