using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Dpl.Embedding;

/// <summary>An <see cref="IScoringBackend"/>'s way with embeddings.</summary>
internal interface IEmbeddingBackend
{
    /// <param name="environment">The caller's.</param>
    /// <param name="reader">Our folder of the zip.</param>
    /// <param name="columns">What its main stream says.</param>
    /// <param name="description">It carries CLIP.</param>
    /// <exception cref="InvalidDataException">An entry is missing or damaged; the message names it.</exception>
    ITransformer Load(IHostEnvironment environment, ModelReader reader, EmbeddingColumns columns, EmbeddingDescription description);
}
