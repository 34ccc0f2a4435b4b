using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace WebApp;

/// <summary>The image of a request: the body itself, or the one file of a multipart form. Nothing is written to disk.</summary>
/// <remarks>
/// The limit is held here and not by Kestrel, whose own limit would break the connection: so Kestrel reads the rest of a body that is too
/// large away, for a few seconds at most, and the client hears the answer.
/// </remarks>
internal static class Upload
{
    private const int MostParts = 16,
        BufferBytes = 64 << 10;

    /// <param name="request">Whose body is read.</param>
    /// <param name="limit">The largest file, in bytes. No more than that is kept.</param>
    /// <param name="cancellationToken">The client went away.</param>
    /// <returns>The file's bytes, or what is wrong.</returns>
    public static async Task<(byte[] Image, IResult? Problem)> Read(HttpRequest request, int limit, CancellationToken cancellationToken)
    {
        // The content type is trusted for this alone: curl calls any body a form unless told otherwise.
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? type) || type.MediaType != "multipart/form-data")
            return request.ContentLength > limit
                ? ([], Problems.TooManyBytes(limit))
                : await ReadAll(request.Body, limit, cancellationToken);

        string? boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary))
            return ([], Problems.BrokenForm());
        try
        {
            // The reader's own limit is for parts that are no files; it lies a read further, so that a file that is too large is called so.
            return await ReadForm(
                new MultipartReader(boundary, request.Body) { BodyLengthLimit = limit + 2L * BufferBytes },
                limit,
                cancellationToken
            );
        }
        catch (Exception e)
            when (e is InvalidDataException or IOException and not BadHttpRequestException && !cancellationToken.IsCancellationRequested)
        {
            return ([], Problems.BrokenForm());
        }
    }

    private static async Task<(byte[] Image, IResult? Problem)> ReadForm(
        MultipartReader form,
        int limit,
        CancellationToken cancellationToken
    )
    {
        byte[]? image = null;
        for (int parts = 0; await form.ReadNextSectionAsync(cancellationToken) is { } part; parts++)
        {
            if (parts == MostParts)
                return ([], Problems.BrokenForm());
            if (part.AsFileSection() is not { FileStream: { } file })
                continue;
            if (image is not null)
                return ([], Problems.SeveralFiles());
            (image, IResult? problem) = await ReadAll(file, limit, cancellationToken);
            if (problem is not null)
                return ([], problem);
        }
        return image is null ? ([], Problems.Empty()) : (image, null);
    }

    private static async Task<(byte[] Image, IResult? Problem)> ReadAll(Stream body, int limit, CancellationToken cancellationToken)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[BufferBytes];
        for (int read; (read = await body.ReadAsync(buffer, cancellationToken)) > 0; )
        {
            if (bytes.Length + read > limit)
                return ([], Problems.TooManyBytes(limit));
            bytes.Write(buffer, 0, read);
        }
        return bytes.Length == 0 ? ([], Problems.Empty()) : (bytes.ToArray(), null);
    }
}
