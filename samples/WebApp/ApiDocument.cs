using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace WebApp;

/// <summary>Adds to the OpenAPI document what cannot be inferred from the code.</summary>
internal static class ApiDocument
{
    public static Task Name(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Image classifier",
            Version = "1",
            Description = "Says which of a model's classes an image shows.",
        };
        return Task.CompletedTask;
    }

    /// <summary>Describes the request body of /predict, which the endpoint reads itself.</summary>
    public static Task CompletePredict(
        OpenApiOperation operation,
        OpenApiOperationTransformerContext context,
        CancellationToken cancellationToken
    )
    {
        if (operation.OperationId != "predict")
            return Task.CompletedTask;
        var file = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" };
        var form = new OpenApiSchema
        {
            Type = JsonSchemaType.Object,
            Properties = new Dictionary<string, IOpenApiSchema> { ["image"] = file },
            Required = new HashSet<string> { "image" },
        };
        operation.RequestBody = new OpenApiRequestBody
        {
            Description = "A PNG, JPEG, WebP, GIF or BMP file, as it is or as the one file of a form.",
            Required = true,
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["image/*"] = new() { Schema = file },
                ["application/octet-stream"] = new() { Schema = file },
                ["multipart/form-data"] = new() { Schema = form },
            },
        };
        return Task.CompletedTask;
    }
}
