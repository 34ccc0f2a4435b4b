using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using WebApp;

// Pages and settings are next to the program, whatever the current folder is.
WebApplicationBuilder builder = WebApplication.CreateBuilder(
    new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory }
);
var switches = new Dictionary<string, string>
{
    ["--model"] = "Classifier:Model",
    ["--clip"] = "Classifier:Clip",
    ["--demo"] = "Classifier:Demo",
};
builder.Configuration.AddCommandLine(args, switches);
builder.Services.AddOptions<ClassifierOptions>().BindConfiguration(ClassifierOptions.Section).ValidateDataAnnotations();
builder.Services.AddSingleton<ModelHost>().AddHostedService(services => services.GetRequiredService<ModelHost>());
builder.Services.AddSingleton<PredictionQueue>().AddHostedService(services => services.GetRequiredService<PredictionQueue>());
builder.Services.AddSingleton<HeatMaps>();
builder.Services.AddSingleton<UploadMemory>();
builder.Services.AddProblemDetails();
builder.Services.AddOpenApi(options =>
    options.AddDocumentTransformer(ApiDocument.Name).AddOperationTransformer(ApiDocument.CompletePredict)
);

// The maximum time that a shutdown waits for requests and for the demo's training.
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(4));
builder.Services.ConfigureOptions<ServerLimits>();

try
{
    WebApplication app = builder.Build();
    Map(app);
    app.Services.GetRequiredService<ModelHost>().LoadGiven();
    await app.RunAsync();
    return Environment.ExitCode;
}
catch (Exception e) when (e is OptionsValidationException or InvalidDataException or IOException)
{
    // Invalid settings, an invalid model or a port in use are shown as one line without a stack trace.
    Console.Error.WriteLine(e.Message);
    return 1;
}

static void Map(WebApplication app)
{
    app.UseExceptionHandler(
        new ExceptionHandlerOptions
        {
            StatusCodeSelector = e => e is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError,
        }
    );
    app.UseStatusCodePages();
    app.Use(
        (context, next) =>
        {
            // The page loads nothing from other origins, so nothing from other origins is allowed.
            context.Response.Headers.ContentSecurityPolicy =
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri "
                + "'none'; form-action 'none'; frame-ancestors 'none'";
            context.Response.Headers.XContentTypeOptions = "nosniff";
            return next(context);
        }
    );
    app.UseDefaultFiles();
    app.UseStaticFiles();

    app.MapPost("/predict", PredictEndpoint.Handle)
        .WithMetadata(new DisableRequestSizeLimitAttribute())
        .WithName("predict")
        .WithSummary("Classifies an image.")
        .Produces<Prediction>()
        .ProducesProblem(StatusCodes.Status400BadRequest)
        .ProducesProblem(StatusCodes.Status408RequestTimeout)
        .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
        .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    app.MapGet("/health", Health.Report)
        .WithName("health")
        .WithSummary("Whether images can be classified now, and with which model.")
        .Produces<Health>()
        .Produces<Health>(StatusCodes.Status503ServiceUnavailable);
    app.MapGet("/examples", Examples.List).WithName("examples").WithSummary("Names of images to try; none where a model was given.");
    app.MapGet("/examples/{name}", Examples.Image)
        .WithName("example")
        .WithSummary("One of the images to try.")
        .Produces<byte[]>(StatusCodes.Status200OK, contentType: "image/png", additionalContentTypes: "image/jpeg")
        .ProducesProblem(StatusCodes.Status404NotFound);
    app.MapOpenApi();
}
