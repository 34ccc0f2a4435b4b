using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;

namespace Microsoft.ML.Dpl.Tests.MLNet;

/// <summary>
/// Compiling against publicized references allows any internal member of ML.NET to be used by accident, and each may disappear in a later
/// version. This list contains those that the library binds to; MLNetInternals.cs is the only file that may use them.
/// </summary>
public sealed class ApprovedInternalsTests
{
    private static readonly string[] Approved =
    [
        "Microsoft.ML.Data.CatalogUtils",
        "Microsoft.ML.Data.CatalogUtils.GetEnvironment",
        "Microsoft.ML.Data.IDataTransform",
        "Microsoft.ML.Data.IDataTransform.get_Source",
        "Microsoft.ML.Data.IInternalCatalog",
        "Microsoft.ML.LoadableClassAttribute",
        "Microsoft.ML.LoadableClassAttribute..ctor",
        "Microsoft.ML.Model.OnnxConverter.ICanSaveOnnx",
        "Microsoft.ML.Model.OnnxConverter.ICanSaveOnnx.CanSaveOnnx",
        "Microsoft.ML.Model.OnnxConverter.ISaveAsOnnx",
        "Microsoft.ML.Model.OnnxConverter.ISaveAsOnnx.SaveAsOnnx",
        "Microsoft.ML.Model.OnnxConverter.ITransformCanSaveOnnx",
        "Microsoft.ML.Model.OnnxConverter.OnnxContext",
        "Microsoft.ML.ModelLoadContext",
        "Microsoft.ML.ModelLoadContext.CheckAtModel",
        "Microsoft.ML.ModelLoadContext.LoadNonEmptyString",
        "Microsoft.ML.ModelLoadContext.Reader",
        "Microsoft.ML.ModelLoadContext.TryLoadBinaryStream",
        "Microsoft.ML.ModelLoadContext.TryLoadTextStream",
        "Microsoft.ML.ModelSaveContext.CheckAtModel",
        "Microsoft.ML.ModelSaveContext.SaveBinaryStream",
        "Microsoft.ML.ModelSaveContext.SaveNonEmptyString",
        "Microsoft.ML.ModelSaveContext.SaveTextStream",
        "Microsoft.ML.ModelSaveContext.SetVersionInfo",
        "Microsoft.ML.ModelSaveContext.Writer",
        "Microsoft.ML.Runtime.ICancelable",
        "Microsoft.ML.Runtime.ICancelable.get_IsCanceled",
        "Microsoft.ML.Runtime.IHostEnvironmentInternal",
        "Microsoft.ML.Runtime.IHostEnvironmentInternal.get_FallbackToCpu",
        "Microsoft.ML.Runtime.IHostEnvironmentInternal.get_GpuDeviceId",
        "Microsoft.ML.Runtime.IHostEnvironmentInternal.get_Seed",
        "Microsoft.ML.SchemaShape+Column..ctor",
        "Microsoft.ML.SchemaShape.Create",
        "Microsoft.ML.SignatureLoadModel",
        "Microsoft.ML.VersionInfo",
        "Microsoft.ML.VersionInfo..ctor",
    ];

    private static readonly string[] ApprovedUsers =
    [
        nameof(MLNetInternals),
        nameof(ModelReader),
        nameof(ModelWriter),
        nameof(UnconvertedView),
    ];

    private static readonly Assembly Library = typeof(MLNetInternals).Assembly;

    [Fact]
    public void OnlyApprovedInternalsAreBoundTo()
    {
        using PEReader file = Open(out MetadataReader metadata);
        Assert.Equal(Lines(Approved), Lines(Internals(metadata).Values.Distinct()));

        static string Lines(IEnumerable<string> names) => string.Join("\n", names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void OnlyOneFileUsesThem()
    {
        using PEReader file = Open(out MetadataReader metadata);
        Dictionary<int, string> internals = Internals(metadata);
        var users = new SortedSet<string>(StringComparer.Ordinal);
        foreach (
            MethodDefinition method in metadata
                .MethodDefinitions.Select(metadata.GetMethodDefinition)
                .Where(m => m.RelativeVirtualAddress != 0)
        )
        {
            byte[] code = file.GetMethodBody(method.RelativeVirtualAddress).GetILBytes()!;
            if (Tokens(code).Any(t => internals.ContainsKey(Generic(metadata, t))))
                users.Add(Outermost(metadata, method.GetDeclaringType()));
        }
        Assert.Empty(users.Except(ApprovedUsers));
        Assert.NotEmpty(users);
    }

    private static PEReader Open(out MetadataReader metadata)
    {
        var file = new PEReader([.. File.ReadAllBytes(Library.Location)]);
        metadata = file.GetMetadataReader();
        return file;
    }

    /// <summary>The tokens and names of ML.NET's referenced types and members that are not accessible from C#.</summary>
    private static Dictionary<int, string> Internals(MetadataReader metadata)
    {
        var found = new Dictionary<int, string>();
        foreach (TypeReferenceHandle handle in metadata.TypeReferences)
        {
            int token = MetadataTokens.GetToken(handle);
            Type type = Library.ManifestModule.ResolveType(token);
            if (IsMLNet(type) && !type.IsVisible)
                found.Add(token, type.FullName!);
        }
        foreach (MemberReferenceHandle handle in metadata.MemberReferences)
        {
            int token = MetadataTokens.GetToken(handle);
            MemberInfo member = Resolve(token);
            if (member.DeclaringType is { } type && IsMLNet(type) && (!type.IsVisible || !IsOpen(member)))
                found.Add(token, $"{type.FullName}.{member.Name}");
        }
        return found;
    }

    /// <summary>Stand-ins for type parameters, at least one of which meets any constraint in the library: a struct, a disposable class, a
    /// branch.</summary>
    private static readonly Type[] StandIns = [typeof(int), typeof(MemoryStream), typeof(PlainBranch)];

    private static MemberInfo Resolve(int token)
    {
        foreach (Type standIn in StandIns[..^1])
        {
            try
            {
                return With(standIn);
            }
            catch (TypeLoadException)
            {
                // This stand-in violates a constraint; the next one may not.
            }
        }
        return With(StandIns[^1]);

        MemberInfo With(Type standIn)
        {
            Type[] arguments = [.. Enumerable.Repeat(standIn, 8)];
            return Library.ManifestModule.ResolveMember(token, arguments, arguments)!;
        }
    }

    private static bool IsMLNet(Type type) =>
        type.Assembly != Library && type.Assembly.GetName().Name!.StartsWith("Microsoft.ML", StringComparison.Ordinal);

    private static bool IsOpen(MemberInfo member) =>
        member switch
        {
            MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
            FieldInfo field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly,
            _ => true,
        };

    private static int Generic(MetadataReader metadata, int token) =>
        MetadataTokens.EntityHandle(token) is { Kind: HandleKind.MethodSpecification } handle
            ? MetadataTokens.GetToken(metadata.GetMethodSpecification((MethodSpecificationHandle)handle).Method)
            : token;

    private static string Outermost(MetadataReader metadata, TypeDefinitionHandle handle)
    {
        TypeDefinition type = metadata.GetTypeDefinition(handle);
        return type.GetDeclaringType() is { IsNil: false } outer ? Outermost(metadata, outer) : metadata.GetString(type.Name);
    }

    /// <summary>The metadata tokens among the operands of a method's instructions (ECMA-335 §VI.C).</summary>
    private static IEnumerable<int> Tokens(byte[] code)
    {
        int at = 0;
        while (at < code.Length)
        {
            short value = code[at] == 0xFE ? unchecked((short)(0xFE00 | code[at + 1])) : code[at];
            OpCode operation = OpCodesByValue[value];
            at += operation.Size;
            switch (operation.OperandType)
            {
                case OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType or OperandType.InlineTok:
                    yield return BitConverter.ToInt32(code, at);
                    at += 4;
                    break;
                case OperandType.InlineSwitch:
                    at += 4 + 4 * BitConverter.ToInt32(code, at);
                    break;
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    at += 1;
                    break;
                case OperandType.InlineVar:
                    at += 2;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    at += 8;
                    break;
                default:
                    at += 4;
                    break;
            }
        }
    }

    private static readonly ImmutableDictionary<short, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(f => (OpCode)f.GetValue(null)!)
        .ToImmutableDictionary(o => o.Value);
}
