using System.Text;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Reads text files, rejecting invalid bytes instead of replacing them: class names become part of the model.</summary>
internal static class StrictText
{
    /// <summary>Reads a whole file in UTF-8, or in UTF-16 with a byte order mark.</summary>
    /// <exception cref="InvalidDataException">The file is in another encoding; the message names the line, except for UTF-16.</exception>
    public static string Read(string file)
    {
        byte[] bytes = File.ReadAllBytes(file);
        bool isWide = bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..];
        Encoding encoding = isWide
            ? new UnicodeEncoding(bigEndian: bytes[0] == 0xFE, byteOrderMark: true, throwOnInvalidBytes: true)
            : new UTF8Encoding(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);
        int mark = bytes.AsSpan().StartsWith(encoding.Preamble) ? encoding.Preamble.Length : 0;
        try
        {
            return encoding.GetString(bytes, mark, bytes.Length - mark);
        }
        catch (DecoderFallbackException e)
        {
            int line = isWide ? 0 : 1 + bytes.AsSpan(0, Math.Clamp(mark + e.Index, 0, bytes.Length)).Count((byte)'\n');
            throw new InvalidDataException(
                $"{file}{(line > 0 ? $", line {line}" : "")}: a byte is not valid {(isWide ? "UTF-16" : "UTF-8")}, so the file is in "
                    + "another encoding, such as Windows-1252. Save it as UTF-8; iconv -f windows-1252 -t utf-8 converts it.",
                e
            );
        }
    }
}
