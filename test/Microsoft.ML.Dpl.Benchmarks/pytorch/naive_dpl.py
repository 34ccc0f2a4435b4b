"""Differentiable Prompt Learning as its authors run it in PyTorch (1.13 or later): a frozen CLIP, one multi-head attention for each candidate, all 77 positions of every
class, gradients of alphas and prompts in both halves of a search step. The network is that of NaiveClip.cs in the tests. Rows come first, as in CLIP's own code: [rows, batch, width].
"""
import contextlib
from typing import List, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor


class Layer(NamedTuple):
    """The prompts of one layer of one branch."""

    alphas: Optional[Tensor]  # [candidates]; None: the one prompt is all there is
    prompts: List[Optional[Tensor]]  # of each candidate [length, width], None where it is empty


class NaiveClip:
    def __init__(self, weights, device="cpu", precision="Float32"):
        """weights: under OpenAI's names. Matrices are cast once for BFloat16, as they are frozen; autocast alone would cast them at each use."""
        self.device = torch.device(device)
        self.precision = precision
        dtype = torch.bfloat16 if precision == "BFloat16" else torch.float32
        frozen = {name: tensor.to(self.device, torch.float32).detach() for name, tensor in weights.items()}
        self.weights = {name: tensor.to(dtype) if is_factor(name) else tensor for name, tensor in frozen.items()}
        self.mask_type = dtype
        self.masks = {}

    def rounding(self):
        """What every forward pass is to be run in."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.precision == "BFloat16" else contextlib.nullcontext()

    def logits(self, images, texts):
        """images [batch, embedding], texts [classes, embedding]: the towers' features"""
        cosines = (images / images.norm(dim=-1, keepdim=True)) @ (texts / texts.norm(dim=-1, keepdim=True)).t()
        return self.weights["logit_scale"].exp() * cosines

    def image_features(self, images, layers):
        """images [batch, 3, size, size]"""
        kernel = self.weights["visual.conv1.weight"]
        x = F.conv2d(images, kernel, stride=kernel.shape[-1]).flatten(2).permute(2, 0, 1)
        x = torch.cat([self.weights["visual.class_embedding"].expand(1, x.shape[1], -1), x]) + self.weights["visual.positional_embedding"].unsqueeze(1)
        x = self.norm(x, "visual.ln_pre")
        for number, layer in enumerate(layers):
            x = self.block(x, "visual.transformer.resblocks.%d" % number, layer, causal=False)
        return self.norm(x[0], "visual.ln_post") @ self.weights["visual.proj"]

    def text_features(self, tokens, layers):
        """tokens [classes, positions], padded with zeros; the end has the highest id"""
        x = (F.embedding(tokens, self.weights["token_embedding.weight"]) + self.weights["positional_embedding"]).transpose(0, 1)
        for number, layer in enumerate(layers):
            x = self.block(x, "transformer.resblocks.%d" % number, layer, causal=True)
        x = self.norm(x, "ln_final").transpose(0, 1)
        return x[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)] @ self.weights["text_projection"]

    def block(self, x, name, layer, causal):
        """x [rows, batch, width]"""
        attended = [self.attend(x, prompt, name, causal) for prompt in layer.prompts]
        if layer.alphas is None:
            x = x + attended[0]
        else:
            x = x + sum(share * one for share, one in zip(layer.alphas.softmax(dim=-1), attended))
        hidden = F.linear(self.norm(x, name + ".ln_2"), self.weights[name + ".mlp.c_fc.weight"], self.weights[name + ".mlp.c_fc.bias"])
        hidden = hidden * torch.sigmoid(1.702 * hidden)
        return x + F.linear(hidden, self.weights[name + ".mlp.c_proj.weight"], self.weights[name + ".mlp.c_proj.bias"])

    def attend(self, x, prompt, name, causal):
        """Prompt rows are keys and values only: behind the first row of a text, behind all rows of an image."""
        rows, batch, width = x.shape
        q = kv = self.norm(x, name + ".ln_1")
        if prompt is not None:
            prompt = prompt.unsqueeze(1).expand(-1, batch, -1)
            kv = self.norm(torch.cat([x[:1], prompt, x[1:]] if causal else [x, prompt]), name + ".ln_1")
        attn = name + ".attn."
        return F.multi_head_attention_forward(
            q, kv, kv, width, width // 64, self.weights[attn + "in_proj_weight"], self.weights[attn + "in_proj_bias"], None, None, False, 0.0,
            self.weights[attn + "out_proj.weight"], self.weights[attn + "out_proj.bias"], need_weights=False, attn_mask=self.mask(rows, len(kv) - rows) if causal else None)[0]

    def mask(self, rows, prompt_rows):
        """[rows, rows + prompt_rows]: no row sees tokens behind it, all see the prompt."""
        if (rows, prompt_rows) not in self.masks:
            tokens = torch.full((rows, rows), float("-inf")).triu(1)
            self.masks[rows, prompt_rows] = torch.cat([tokens[:, :1], torch.zeros(rows, prompt_rows), tokens[:, 1:]], dim=1).to(self.device, self.mask_type)
        return self.masks[rows, prompt_rows]

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], 1e-5)


def is_factor(name):
    """Whether a weight is a factor of a product, or is added to one before anything else is."""
    return name.split(".")[-2:-1] in (["conv1"], ["out_proj"], ["c_fc"], ["c_proj"]) or name.split(".")[-1] in ("in_proj_weight", "in_proj_bias", "proj", "text_projection")


class Prompts:
    """Prompts of both branches as parameters: every candidate's with alphas for the search, or one a layer for training."""

    def __init__(self, image, text, alphas=None):
        """image, text: for each layer the candidates' prompts, None where one is empty; alphas: (image, text), each [layers, candidates]"""
        self.image, self.text = image, text
        self.alphas = [] if alphas is None else list(alphas)
        self.prompts = [prompt for layer in image + text for prompt in layer if prompt is not None]
        for parameter in self.alphas + self.prompts:
            parameter.requires_grad_(True)

    def layers(self):
        image_alphas, text_alphas = self.alphas or ([None] * len(self.image), [None] * len(self.text))
        return [Layer(*pair) for pair in zip(image_alphas, self.image)], [Layer(*pair) for pair in zip(text_alphas, self.text)]


class Steps:
    """Forward, backward to everything that is learnt, and one optimiser's step."""

    def __init__(self, clip, tokens, prompts, chunk=None):
        """tokens [classes, positions]; chunk: classes whose graph is held at once, None: all, as the authors do"""
        self.clip, self.tokens, self.prompts, self.chunk = clip, tokens, prompts, chunk
        self.adam = torch.optim.Adam(prompts.alphas, lr=0.0035, betas=(0.5, 0.999)) if prompts.alphas else None
        self.sgd = torch.optim.SGD(prompts.prompts, lr=0.0035, momentum=0.9, weight_decay=5e-4)
        self.texts = None

    def alpha_half(self, images, labels):
        return self.step(self.adam, images, labels)

    def prompt_half(self, images, labels):
        return self.step(self.sgd, images, labels)

    training = prompt_half

    def step(self, optimizer, images, labels):
        optimizer.zero_grad()
        loss = self.backward(images, labels)
        optimizer.step()
        return loss.item()

    def backward(self, images, labels, chunks=None):
        """The loss, with gradients of all prompts and alphas. chunks: how many to go through, to warm up."""
        image, text = self.prompts.layers()
        if self.chunk is None:
            with self.clip.rounding():
                logits = self.clip.logits(self.clip.image_features(images, image), self.clip.text_features(self.tokens, text))
                loss = F.cross_entropy(logits, labels)
            loss.backward()
            return loss.detach()
        # From the loss to the text features, then on through the text branch, chunk by chunk: each class is computed and differentiated once.
        if self.texts is None:
            # The work does not depend on their values: made once, so that the time is that of the whole where memory is no object.
            with torch.no_grad(), self.clip.rounding():
                self.texts = torch.cat([self.clip.text_features(some, text) for some in self.tokens.split(self.chunk)])
        leaf = self.texts.clone().requires_grad_(True)
        with self.clip.rounding():
            loss = F.cross_entropy(self.clip.logits(self.clip.image_features(images, image), leaf), labels)
        loss.backward()
        parts = list(zip(self.tokens.split(self.chunk), leaf.grad.split(self.chunk)))
        for some, gradient in parts[:chunks]:
            with self.clip.rounding():
                features = self.clip.text_features(some, text)
            features.backward(gradient)
        return loss.detach()
