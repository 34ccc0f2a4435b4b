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
    private readonly Channel<Waiting> _channel = Channel.CreateBounded<Waiting>(options.Value.QueueLength);
    private long _images,
        _batches;

    /// <summary>Number of images that are waiting for a forward pass.</summary>
    public int Length => _channel.Reader.Count;

    /// <summary>Number of images scored since the start.</summary>
    public long Images => Interlocked.Read(ref _images);

    /// <summary>Number of forward passes since the start.</summary>
    public long Batches => Interlocked.Read(ref _batches);

    /// <summary>Queues an image unless the queue is full.</summary>
    /// <param name="image">An encoded image file.</param>
    /// <param name="cancellationToken">Cancels the request; the image is skipped if that happens before its turn.</param>
    /// <param name="answer">The probabilities of the classes; null if the queue is full. Fails with
    /// <see cref="UndecodableImageException"/>.</param>
    public bool TryAdd(byte[] image, CancellationToken cancellationToken, [NotNullWhen(true)] out Task<float[]>? answer)
    {
        var waiting = new Waiting(image, cancellationToken);
        bool added = _channel.Writer.TryWrite(waiting);
        answer = added ? waiting.Answer.Task : null;
        return added;
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Enumerable.Range(0, _options.Workers).Select(_ => Task.Run(() => Work(stoppingToken), stoppingToken)));

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _channel.Writer.Complete();
        await base.StopAsync(cancellationToken);
        while (_channel.Reader.TryRead(out Waiting? left))
            left.Answer.TrySetCanceled(CancellationToken.None);
    }

    private async Task Work(CancellationToken stopping)
    {
        var batch = new List<Waiting>(_options.MaxBatch);
        try
        {
            while (await _channel.Reader.WaitToReadAsync(stopping))
            {
                if (_channel.Reader.Count < _options.MaxBatch && _options.BatchWaitMilliseconds > 0)
                    await Task.Delay(_options.BatchWaitMilliseconds, stopping);
                batch.Clear();
                while (batch.Count < _options.MaxBatch && _channel.Reader.TryRead(out Waiting? next))
                {
                    if (next.Cancellation.IsCancellationRequested)
                        next.Answer.TrySetCanceled(next.Cancellation);
                    else
                        batch.Add(next);
                }
                if (batch.Count > 0)
                    Score(batch);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            foreach (Waiting waiting in batch)
                waiting.Answer.TrySetCanceled(stopping);
        }
    }

    private void Score(IReadOnlyList<Waiting> batch)
    {
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

    private sealed record Waiting(byte[] Image, CancellationToken Cancellation)
    {
        public TaskCompletionSource<float[]> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A file starts like an image, but its pixels cannot be decoded.</summary>
internal sealed class UndecodableImageException(Exception cause) : Exception(cause.Message, cause);
