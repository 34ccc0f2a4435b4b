using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace WebApp;

/// <summary>The image of a request: the body itself, or the one file of a multipart form. Nothing is written to disk.</summary>
/// <remarks>
/// The size limit is enforced here and not by Kestrel, whose own limit would abort the connection. In this way Kestrel drains the rest of a
/// body that is too large, for a few seconds at most, and the client receives the response.
/// </remarks>
internal static class Upload
{
    // RFC 2046 allows 70 characters; MultipartReader rejects boundaries that do not fit into its buffer.
    private const int LongestBoundary = 128,
        MostParts = 16,
        BufferBytes = 64 << 10;

    /// <param name="context">The context of the request whose body is read.</param>
    /// <param name="options">The limits for the file's size and for the time. No more than the largest allowed file is kept in
    /// memory.</param>
    /// <param name="share">The request's share of memory, which grows with the file.</param>
    /// <returns>The file's bytes, or the problem with the request.</returns>
    public static async Task<(byte[] Image, IResult? Problem)> Read(
        HttpContext context,
        ClassifierOptions options,
        UploadMemory.Share share
    )
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        time.CancelAfter(TimeSpan.FromSeconds(options.MaxUploadSeconds));
        var body = new Body(context, options.MaxUploadBytes, share, time.Token);
        try
        {
            return await body.Read();
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            return ([], Problems.TooSlow(options.MaxUploadSeconds));
        }
    }

    private sealed record Body(HttpContext Context, int Limit, UploadMemory.Share Share, CancellationToken CancellationToken)
    {
        private HttpRequest Request => Context.Request;

        public async Task<(byte[] Image, IResult? Problem)> Read()
        {
            // The content type only serves to recognise multipart forms: curl sends any body as a URL-encoded form by default.
            if (
                !MediaTypeHeaderValue.TryParse(Request.ContentType, out MediaTypeHeaderValue? type)
                || type.MediaType != "multipart/form-data"
            )
                return Request.ContentLength > Limit ? ([], Problems.TooManyBytes(Limit)) : await ReadAll(Request.Body);

            string? boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
            if (string.IsNullOrEmpty(boundary) || boundary.Length > LongestBoundary)
                return ([], Problems.BrokenForm());
            try
            {
                // The reader's own limit is for parts that are not files; it is larger by two buffers, so that a file that is too large is
                // reported as such.
                return await ReadForm(new MultipartReader(boundary, Request.Body) { BodyLengthLimit = Limit + 2L * BufferBytes });
            }
            catch (Exception e)
                when (e is InvalidDataException or IOException and not BadHttpRequestException && !CancellationToken.IsCancellationRequested
                )
            {
                return ([], Problems.BrokenForm());
            }
        }

        private async Task<(byte[] Image, IResult? Problem)> ReadForm(MultipartReader form)
        {
            byte[]? image = null;
            for (int parts = 0; await form.ReadNextSectionAsync(CancellationToken) is { } part; parts++)
            {
                if (parts == MostParts)
                    return ([], Problems.BrokenForm());
                if (part.AsFileSection() is not { FileStream: { } file })
                    continue;
                if (image is not null)
                    return ([], Problems.SeveralFiles());
                (image, IResult? problem) = await ReadAll(file);
                if (problem is not null)
                    return ([], problem);
            }
            return image is null ? ([], Problems.Empty()) : (image, null);
        }

        private async Task<(byte[] Image, IResult? Problem)> ReadAll(Stream body)
        {
            // Read in pieces, so that memory is allocated only as bytes arrive.
            var pieces = new List<byte[]>();
            int length = 0;
            while (true)
            {
                int used = length % BufferBytes;
                if (used == 0)
                {
                    if (!Share.TryGrow(BufferBytes))
                        return ([], Problems.TooManyUploads(Context));
                    pieces.Add(new byte[BufferBytes]);
                }
                int read = await body.ReadAsync(pieces[^1].AsMemory(used), CancellationToken);
                if (read == 0)
                    break;
                length += read;
                if (length > Limit)
                    return ([], Problems.TooManyBytes(Limit));
            }
            if (length == 0)
                return ([], Problems.Empty());
            byte[] image = new byte[length];
            for (int i = 0; i * BufferBytes < length; i++)
                Array.Copy(pieces[i], 0, image, i * BufferBytes, Math.Min(BufferBytes, length - i * BufferBytes));
            return (image, null);
        }
    }
}
