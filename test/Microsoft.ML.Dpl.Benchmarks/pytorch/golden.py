"""Holds the algorithm to golden values (test/golden/README.md), unpacked, with the tolerances of GoldenNetworkTests.cs and GoldenSearchTests.cs."""
import json
import math
import os
import struct

import torch

from naive_dpl import NaiveClip, Prompts, Steps

OUTPUTS, GRADIENTS, COURSE = 1e-4, 1e-3, 1e-3


def read(path, device):
    """Tensors and metadata of a safetensors file, by name."""
    types = {"F32": torch.float32, "I64": torch.int64}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        content = bytearray(file.read())
    metadata = header.pop("__metadata__", {})

    def tensor(entry):
        start, end = entry["data_offsets"]
        return torch.frombuffer(content, dtype=types[entry["dtype"]], count=math.prod(entry["shape"]), offset=start).reshape(entry["shape"]).clone().to(device)

    return {name: tensor(entry) for name, entry in header.items()}, metadata


class Comparison:
    """Largest difference relative to the largest expected magnitude, the worst of each kind: Close.cs."""

    def __init__(self):
        self.worst, self.good = {}, True

    def close(self, kind, expected, actual, tolerance):
        if actual is None or actual.shape != expected.shape:
            raise SystemExit("%s: %s instead of the shape %s" % (kind, "no value" if actual is None else "shape %s" % (tuple(actual.shape),), tuple(expected.shape)))
        error = ((expected - actual.detach()).abs().max() / expected.abs().max().clamp(min=1e-12)).item()
        before = self.worst.get(kind, (0.0, tolerance))[0]
        # Not a number stays: it is neither smaller nor larger.
        self.worst[kind] = (before if error <= before or before != before else error, tolerance)
        self.good &= error <= tolerance

    def print(self, case):
        for kind, (error, tolerance) in self.worst.items():
            print("%s, %s: relative error %.1e, %.0e allowed%s" % (case, kind, error, tolerance, "" if error <= tolerance else ": TOO LARGE"))


def prompts_of(file, prefix, candidates):
    def branch(name):
        return [[None] + [file["%sprompts.%s.%d.%d" % (prefix, name, layer, k)] for k in range(1, candidates)] for layer in range(len(file["%salphas.%s" % (prefix, name)]))]

    return Prompts(branch("image"), branch("text"), [file[prefix + "alphas.image"], file[prefix + "alphas.text"]])


def names_of(prefix, prompts):
    """The parameters of a search under the files' names."""
    for name, alphas in zip(("image", "text"), prompts.alphas):
        yield "%salphas.%s" % (prefix, name), alphas
    for name, branch in (("image", prompts.image), ("text", prompts.text)):
        for layer, candidates in enumerate(branch):
            for k, prompt in enumerate(candidates[1:], 1):
                yield "%sprompts.%s.%d.%d" % (prefix, name, layer, k), prompt


def check_outputs(comparison, clip, file, prompts):
    image, text = prompts.layers()
    with torch.no_grad():
        images, texts = clip.image_features(file["input.images"], image), clip.text_features(file["input.tokens"], text)
        comparison.close("features", file["output.image_features"], images, OUTPUTS)
        comparison.close("features", file["output.text_features"], texts, OUTPUTS)
        comparison.close("logits", file["output.logits"], clip.logits(images, texts), OUTPUTS)


def check_supernet(comparison, clip, file, metadata):
    candidates = len(json.loads(metadata["candidates"]))
    for kind, chunk in (("gradients", None), ("gradients in chunks", 2)):
        prompts = prompts_of(file, "", candidates)
        if chunk is None:
            check_outputs(comparison, clip, file, prompts)
        loss = Steps(clip, file["input.tokens"], prompts, chunk).backward(file["input.images"], file["input.labels"])
        comparison.close("loss", file["output.loss"], loss.reshape(1), OUTPUTS)
        for name, parameter in names_of("", prompts):
            comparison.close(kind, file["grad." + name], parameter.grad, GRADIENTS)
            parameter.grad = None


def check_subnet(comparison, clip, file, metadata):
    def branch(name):
        return [[file["prompts.%s.%d" % (name, layer)] if length > 0 else None] for layer, length in enumerate(json.loads(metadata[name + "_lengths"]))]

    prompts = Prompts(branch("image"), branch("text"))
    check_outputs(comparison, clip, file, prompts)
    loss = Steps(clip, file["input.tokens"], prompts).backward(file["input.images"], file["input.labels"])
    comparison.close("loss", file["output.loss"], loss.reshape(1), OUTPUTS)
    for name, layers in (("image", prompts.image), ("text", prompts.text)):
        for layer, (prompt,) in enumerate(layers):
            if prompt is not None:
                comparison.close("gradients", file["grad.prompts.%s.%d" % (name, layer)], prompt.grad, GRADIENTS)


def check_search(comparison, clip, file, metadata):
    prompts, epochs, batches = prompts_of(file, "init.", len(json.loads(metadata["candidates"]))), int(metadata["epochs"]), int(metadata["batches_per_epoch"])
    steps = Steps(clip, file["input.tokens"], prompts)
    validation, training, alphas = [], [], []
    for epoch in range(epochs):
        steps.sgd.param_groups[0]["lr"] = 1e-5 if epoch == 0 else 0.5 * 0.0035 * (1 + math.cos(math.pi * (epoch - 1) / epochs))
        for batch in range(batches):
            validation.append(steps.alpha_half(file["input.validation_images"][batch], file["input.validation_labels"][batch]))
            training.append(steps.prompt_half(file["input.train_images"][batch], file["input.train_labels"][batch]))
        alphas.append(torch.cat([branch.detach().flatten() for branch in prompts.alphas]))
    device = file["input.tokens"].device
    comparison.close("losses", file["output.validation_losses"], torch.tensor(validation, device=device), COURSE)
    comparison.close("losses", file["output.train_losses"], torch.tensor(training, device=device), COURSE)
    comparison.close("alphas by epoch", file["output.alphas_by_epoch"], torch.stack(alphas), COURSE)
    for name, parameter in names_of("final.", prompts):
        comparison.close("alphas and prompts at the end", file[name], parameter, COURSE)


def check(folder, device):
    """Prints the worst errors of every case below the folder. Exit code: 0 where all are allowed, else 1."""
    torch.backends.cudnn.allow_tf32 = False
    cases = sorted(entry.path for entry in os.scandir(folder) if os.path.exists(os.path.join(entry.path, "supernet.safetensors")))
    if not cases:
        packed = any(os.path.exists(os.path.join(entry.path, "supernet.safetensors.br")) for entry in os.scandir(folder))
        raise SystemExit("There is no case (a folder with supernet.safetensors) in '%s'%s." % (folder, ": unpack its files, with brotli -d --rm on a copy" if packed else ""))
    good = True
    for case in cases:
        clip = NaiveClip(read(os.path.join(case, "clip.safetensors"), device)[0], device)
        for kind, compare in (("supernet", check_supernet), ("subnet", check_subnet), ("search", check_search)):
            comparison = Comparison()
            compare(comparison, clip, *read(os.path.join(case, kind + ".safetensors"), device))
            comparison.print("%s, %s" % (os.path.basename(case), kind))
            good &= comparison.good
    print("torch %s on %s: %s" % (torch.__version__, device, "the same as the reference" if good else "NOT the same as the reference"))
    return 0 if good else 1
