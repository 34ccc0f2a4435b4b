"""The authors' steps of Differentiable Prompt Learning in PyTorch (1.13 or later), to measure this library against and to be held to the same golden values.

    python3 authors_dpl.py --shape vit-b-16 --classes 20 --json    what a step takes, as the benchmark's verb steps measures ours
    python3 authors_dpl.py --check GOLDEN                          whether it computes what the reference computed; exit code 1 where it does not. GOLDEN: test/golden, unpacked as its README says
"""
import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

import torch

import golden
from naive_dpl import NaiveClip, Prompts, Steps

SHAPES = {  # embedding, image, patch, (layers, width) of images and texts: ClipShapes.cs
    "smallest": (32, 32, 8, (2, 64), (2, 64)),
    "surrogate": (256, 48, 8, (6, 128), (3, 128)),
    "vit-b-32": (512, 224, 32, (12, 768), (12, 512)),
    "vit-b-16": (512, 224, 16, (12, 768), (12, 512)),
    "vit-l-14": (768, 224, 14, (24, 1024), (12, 768)),
}
VOCABULARY, POSITIONS = 49408, 77


def random_weights(shape, generator):
    """Distributed as RandomClip.cs has them."""
    embedding, size, patch, (image_layers, image_width), (text_layers, text_width) = SHAPES[shape]
    weights = {}

    def add(name, deviation, mean, *dimensions):
        weights[name] = torch.randn(dimensions, generator=generator) * deviation + mean

    def norm(name, width):
        add(name + ".weight", 0.1, 1, width)
        add(name + ".bias", 0.1, 0, width)

    def linear(weight, bias, outputs, inputs):
        add(weight, inputs**-0.5, 0, outputs, inputs)
        add(bias, 0.1, 0, outputs)

    def blocks(prefix, layers, width):
        for block in ("%s.resblocks.%d." % (prefix, number) for number in range(layers)):
            norm(block + "ln_1", width)
            norm(block + "ln_2", width)
            linear(block + "attn.in_proj_weight", block + "attn.in_proj_bias", 3 * width, width)
            linear(block + "attn.out_proj.weight", block + "attn.out_proj.bias", width, width)
            linear(block + "mlp.c_fc.weight", block + "mlp.c_fc.bias", 4 * width, width)
            linear(block + "mlp.c_proj.weight", block + "mlp.c_proj.bias", width, 4 * width)

    add("visual.conv1.weight", 0.1, 0, image_width, 3, patch, patch)
    add("visual.class_embedding", 1, 0, image_width)
    add("visual.positional_embedding", 0.5, 0, 1 + (size // patch) ** 2, image_width)
    norm("visual.ln_pre", image_width)
    blocks("visual.transformer", image_layers, image_width)
    norm("visual.ln_post", image_width)
    add("visual.proj", image_width**-0.5, 0, image_width, embedding)
    add("token_embedding.weight", 0.5, 0, VOCABULARY, text_width)
    add("positional_embedding", 0.2, 0, POSITIONS, text_width)
    blocks("transformer", text_layers, text_width)
    norm("ln_final", text_width)
    add("text_projection", text_width**-0.5, 0, text_width, embedding)
    add("logit_scale", 0, 2, 1)
    return weights


class Models:
    """One random CLIP, its class texts and images, and the steps of search and training: StepModels.cs."""

    def __init__(self, options):
        device, generator = options.device, torch.Generator().manual_seed(1)
        _, size, _, image, text = SHAPES[options.shape]
        clip = NaiveClip(random_weights(options.shape, generator), device, options.precision)
        self.images = torch.randn(options.batch, 3, size, size, generator=generator).to(device)
        self.labels = torch.arange(options.batch).remainder(options.classes).to(device)
        # Five tokens that all classes share, one to three of a name, a full stop and the end.
        start, end = VOCABULARY - 2, VOCABULARY - 1
        tokens = torch.zeros(options.classes, POSITIONS, dtype=torch.long)
        for row in tokens:
            name = torch.randint(start, (int(torch.randint(1, 4, (), generator=generator)),), generator=generator).tolist()
            row[: 7 + len(name)] = torch.tensor([start, 1, 2, 3, 1] + name + [4, end])
        tokens = tokens.to(device)

        def prompts(branch, lengths, draw, scale=1.0):
            layers, width = branch
            return [[(draw(length, width, generator=generator) * scale).to(device) if length > 0 else None for length in lengths] for _ in range(layers)]

        alphas = [(1e-3 * torch.randn(layers, len(options.candidates), generator=generator)).to(device) for layers, _ in (image, text)]
        longest = options.candidates[-1:]
        searched = Prompts(prompts(image, options.candidates, torch.randn), prompts(text, options.candidates, torch.rand), alphas)
        trained = Prompts(prompts(image, longest, torch.randn, 0.02), prompts(text, longest, torch.randn, 0.02))
        self.search, self.train = Steps(clip, tokens, searched, options.naive_chunk), Steps(clip, tokens, trained, options.naive_chunk)

    def alpha_half(self):
        return self.search.alpha_half(self.images, self.labels)

    def prompt_half(self):
        return self.search.prompt_half(self.images, self.labels)

    def training(self):
        return self.train.training(self.images, self.labels)

    def warm_up(self):
        """All of a step where there are no chunks, else the first of them."""
        for steps in (self.search, self.train):
            steps.backward(self.images, self.labels, chunks=1)


def finish(device):
    # What a GPU is given to do is not done when the call returns.
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def measure(options):
    models = Models(options)
    factors = [torch.randn(2048, 2048, device=options.device) for _ in range(2)]
    works = {"alpha half-step": models.alpha_half, "prompt half-step": models.prompt_half, "training step": models.training, "product 2048³": lambda: factors[0] @ factors[1]}
    times = {name: [] for name in works}
    models.warm_up()
    works["product 2048³"]()
    for _ in range(options.repeats):
        for name, work in works.items():
            finish(options.device)
            began = time.perf_counter()
            result = work()
            finish(options.device)
            times[name].append(time.perf_counter() - began)
            # A loss, but for the product.
            if isinstance(result, float) and not math.isfinite(result):
                raise SystemExit("The loss of the %s became %s." % (name, result))
    return {name: {"Median": statistics.median(seconds), "Spread": max(seconds) - min(seconds)} for name, seconds in times.items()}


def measure_memory(options, form):
    """Bytes that this process held at most for two steps of one form, weights included; on a GPU of its memory, and what tensors took of that."""
    on_gpu = torch.device(options.device).type == "cuda"
    # The context is there already. libtorch keeps what it has taken, so that the end is the peak.
    free = torch.cuda.mem_get_info(options.device)[0] if on_gpu else None
    models = Models(options)
    for _ in range(2):
        if form == "search":
            models.alpha_half()
            models.prompt_half()
        else:
            models.training()
    if on_gpu:
        finish(options.device)
        return {"held": free - torch.cuda.mem_get_info(options.device)[0], "allocated": torch.cuda.max_memory_allocated(options.device)}
    return {"held": peak_resident()}


def peak_resident():
    # The peak of getrusage counts the parent's memory at the fork, so Linux's own figure comes first.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def blas():
    """What multiplies on the CPU: the library that is loaded, where the system says."""
    if torch.backends.mkl.is_available():
        return "MKL"
    try:
        with open("/proc/self/maps") as maps:
            return next(line.split()[-1] for line in maps if "blas" in os.path.basename(line.split()[-1]))
    except (OSError, StopIteration):
        return "a BLAS that it does not name"


def report(options):
    memory = {}
    # Each in a process of its own, before this one holds anything.
    for form in () if options.no_memory else ("search", "training"):
        run = subprocess.run([sys.executable, __file__] + sys.argv[1:] + ["--memory", form], stdout=subprocess.PIPE, check=False)
        if run.returncode != 0:
            raise SystemExit("Measuring the memory of '%s' ended with code %d." % (form, run.returncode))
        memory[form] = json.loads(run.stdout)
    seconds = measure(options)
    return {
        "shape": options.shape, "classes": options.classes, "batch": options.batch, "candidates": options.candidates, "naiveChunk": options.naive_chunk,
        "device": options.device, "deviceName": torch.cuda.get_device_name(options.device) if torch.device(options.device).type == "cuda" else "cpu",
        "torch": torch.__version__, "blas": blas(), "threads": torch.get_num_threads(), "precision": options.precision, "seconds": seconds,
        "peakMebibytes": {form: bytes_["held"] >> 20 for form, bytes_ in memory.items()},
        "allocatedMebibytes": {form: bytes_["allocated"] >> 20 for form, bytes_ in memory.items() if "allocated" in bytes_},
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="FOLDER", help="compare with the golden cases in this folder, measure nothing")
    parser.add_argument("--shape", choices=SHAPES, default="surrogate")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--candidates", "--options", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5, 6], help="context lengths, increasing; training has the longest")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: as many as PyTorch takes by itself")
    parser.add_argument("--naive-chunk", type=int, help="classes whose graph is held at once, where all of them do not fit into memory")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:n")
    parser.add_argument("--precision", choices=["Float32", "TensorFloat32", "BFloat16"], default="Float32")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory, which is measured in processes of their own")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    parser.add_argument("--memory", choices=["search", "training"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in ("classes", "batch", "repeats", "threads", "naive_chunk"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error("--%s must be at least 1" % name.replace("_", "-"))
    if options.candidates[0] != 0 or len(options.candidates) < 2 or sorted(set(options.candidates)) != options.candidates:
        parser.error("--candidates must increase from 0")
    if options.device == "cuda":
        options.device = "cuda:0"
    try:
        torch.zeros(1, device=options.device)
    except (RuntimeError, AssertionError) as reason:
        parser.error("--device %s cannot be used: %s" % (options.device, str(reason).splitlines()[0]))
    return options


def main():
    options = parse()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "TensorFloat32"
    if options.check:
        return golden.check(options.check, options.device)
    if options.memory:
        print(json.dumps(measure_memory(options, options.memory)))
        return 0
    result = report(options)
    if options.json:
        print(json.dumps(result))
        return 0
    print("%(shape)s, %(classes)d classes, batch %(batch)d, %(device)s, %(precision)s, torch %(torch)s, %(blas)s, %(threads)d threads" % result)
    for name, timing in result["seconds"].items():
        print("%-24s %10.1f ms, spread %.1f" % (name, timing["Median"] * 1e3, timing["Spread"] * 1e3))
    for form, mebibytes in result["peakMebibytes"].items():
        print("%-24s %10d MiB" % ("peak memory, " + form, mebibytes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
