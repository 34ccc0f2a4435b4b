using Microsoft.AspNetCore.Http.Features;

namespace WebApp;

/// <summary>The picture of a request: the body itself, or the one file of a multipart form.</summary>
internal static class Upload
{
    /// <summary>What a form may take beside the file: boundaries, headers, small fields.</summary>
    public const int FormAllowance = 16 << 10;

    /// <param name="request">Whose body is read.</param>
    /// <param name="limit">The largest file, in bytes. No more than that is read or kept.</param>
    /// <param name="cancellation">The client went away.</param>
    /// <returns>The file's bytes, or what is wrong.</returns>
    public static async Task<(byte[] Picture, IResult? Problem)> Read(HttpRequest request, int limit, CancellationToken cancellation)
    {
        // Not HasFormContentType: curl calls any body a form unless told otherwise.
        bool isForm = request.ContentType?.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase) == true;
        if (request.ContentLength > limit + (isForm ? FormAllowance : 0)) return ([], Problems.TooManyBytes(limit));
        try
        {
            if (!isForm) return await ReadAll(request.Body, request.ContentLength, limit, cancellation);
            var form = new FormOptions { MultipartBodyLengthLimit = limit, ValueLengthLimit = FormAllowance, ValueCountLimit = 16 };
            IFormFileCollection files = (await request.ReadFormAsync(form, cancellation)).Files;
            if (files.Count != 1) return ([], files.Count == 0 ? Problems.Empty() : Problems.SeveralFiles(files.Count));
            await using Stream file = files[0].OpenReadStream();
            return await ReadAll(file, files[0].Length, limit, cancellation);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return ([], Problems.TooManyBytes(limit));
        }
        catch (Exception e) when (isForm && e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            return ([], Problems.BrokenForm());
        }
    }

    private static async Task<(byte[] Picture, IResult? Problem)> ReadAll(Stream body, long? length, int limit, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream((int)Math.Min(length ?? 0, limit));
        var buffer = new byte[81920];
        for (int read; (read = await body.ReadAsync(buffer, cancellation)) > 0;)
        {
            // A chunked body gives no length in advance.
            if (bytes.Length + read > limit) return ([], Problems.TooManyBytes(limit));
            bytes.Write(buffer, 0, read);
        }
        return bytes.Length == 0 ? ([], Problems.Empty()) : (bytes.ToArray(), null);
    }
}
