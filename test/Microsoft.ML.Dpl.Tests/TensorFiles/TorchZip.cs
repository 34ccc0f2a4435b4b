using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

/// <summary>Writes archives as <c>torch.save</c> and <c>torch.jit.save</c> do, opcode by opcode.</summary>
internal sealed class TorchZip
{
    private readonly MemoryStream _pickle = new();
    private readonly List<byte[]> _storages = [];

    /// <summary>A dictionary of names to tensors, as written by <c>torch.save(model.state_dict())</c>.</summary>
    public static byte[] StateDictionary(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        var zip = new TorchZip();
        zip.Begin();
        zip.Global("collections", "OrderedDict").Op(')').Op('R').Op('q', 0).Op('(');
        foreach (var (name, tensor) in tensors)
            zip.Text(name).Tensor(tensor);
        // The modules' versions are an attribute of the dictionary.
        zip.Op('u').Op('}').Text("_metadata").Op('}').Op('s').Op('b').Op('.');
        return zip.ToArray("archive", torchScript: false);
    }

    /// <summary>A tree of modules with code and constants, as <c>torch.jit.save</c> writes it and OpenAI's files contain it.</summary>
    public static byte[] Modules(IReadOnlyDictionary<string, Tensor> tensors)
    {
        var zip = new TorchZip();
        zip.Begin();
        zip.Module([.. tensors.Select(t => (t.Key.Split('.'), t.Value))], depth: 0);
        zip.Op('.');
        return zip.ToArray("ViT-X-16", torchScript: true);
    }

    /// <summary>An archive with the given pickle and one storage of 16 bytes.</summary>
    public static byte[] Around(params byte[][] pickle)
    {
        var zip = new TorchZip();
        foreach (byte[] part in pickle)
            zip._pickle.Write(part);
        zip._storages.Add(new byte[16]);
        return zip.ToArray("archive", torchScript: false);
    }

    private static string StorageOf(ScalarType type) =>
        type switch
        {
            ScalarType.Float16 => "HalfStorage",
            ScalarType.BFloat16 => "BFloat16Storage",
            ScalarType.Int64 => "LongStorage",
            _ => "FloatStorage",
        };

    private void Begin() => Op((char)0x80, 2);

    private void Module(IReadOnlyList<(string[] Path, Tensor Tensor)> members, int depth)
    {
        Global("__torch__.multimodal.model.___torch_mangle_7", "Multimodal").Op(')').Op((char)0x81).Op('}').Op('(');
        Text("training").Op((char)0x89);
        Text("_is_full_backward_hook").Op('N');
        foreach (var group in members.GroupBy(m => m.Path[depth]))
        {
            Text(group.Key);
            if (group.First().Path.Length == depth + 1)
                Tensor(group.Single().Tensor);
            else
                Module([.. group], depth + 1);
        }
        Op('u').Op('b');
    }

    private TorchZip Tensor(Tensor tensor)
    {
        // The storage holds the numbers in memory order; a view of it may have any strides.
        bool plain = tensor.is_contiguous();
        using Tensor stored = plain ? tensor.detach().clone() : tensor.t().contiguous();
        long[] strides = tensor.stride();
        Global("torch._utils", "_rebuild_tensor_v2")
            .Op('(')
            .Op('(')
            .Text("storage")
            .Global("torch", StorageOf(tensor.dtype))
            .Text($"{_storages.Count}")
            .Text("cuda:0");
        Number(tensor.NumberOfElements).Op('t').Op('Q').Number(0);
        Numbers(tensor.shape).Numbers(strides).Op((char)0x89).Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R');
        _storages.Add(stored.bytes.ToArray());
        return this;
    }

    private TorchZip Numbers(long[] numbers)
    {
        Op('(');
        foreach (long number in numbers)
            Number(number);
        return Op('t');
    }

    private TorchZip Number(long number)
    {
        if (number < 256)
            return Op('K', (byte)number);
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, checked((int)number));
        return Op('J', bytes);
    }

    private TorchZip Text(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text),
            length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        return Op('X', [.. length, .. bytes]);
    }

    private TorchZip Global(string module, string name) => Op('c', Encoding.UTF8.GetBytes($"{module}\n{name}\n"));

    private TorchZip Op(char opcode, params byte[] argument)
    {
        _pickle.WriteByte((byte)opcode);
        _pickle.Write(argument);
        return this;
    }

    private byte[] ToArray(string folder, bool torchScript)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            void Add(string name, byte[] content)
            {
                using Stream entry = zip.CreateEntry($"{folder}/{name}", CompressionLevel.NoCompression).Open();
                entry.Write(content);
            }
            Add("data.pkl", _pickle.ToArray());
            if (torchScript)
            {
                Add("code/__torch__/multimodal/model.py", "class Multimodal(Module):\n  pass\n"u8.ToArray());
                Add("constants.pkl", [0x80, 2, (byte)')', (byte)'.']);
                Add("constants/0", new byte[4]);
            }
            for (int i = 0; i < _storages.Count; i++)
                Add($"data/{i}", _storages[i]);
            Add("version", "3\n"u8.ToArray());
        }
        return bytes.ToArray();
    }
}
