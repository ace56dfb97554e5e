"""Holds Atoll's jacobian, jvp and Hessian against torch.autograd.functional, in f64.

usage: transforms_compare.py PATH_OF_reference_transforms
Exits 0 when all agree, 1 when not, 77 (skipped, for ctest) without PyTorch.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    import torch.nn.functional as F
    from torch.autograd.functional import hessian, jacobian, jvp
except ImportError as missing:
    print(f"SKIPPED: {missing}; install python3-torch to compare Atoll with PyTorch")
    sys.exit(77)

TOLERANCE = 1e-9
EPSILON = 2.0**-10
TARGETS = [1, -1, 3]


def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def half_square(y):
    return 0.5 * (y**2).sum()


def classified(y):
    targets = torch.tensor(TARGETS)
    return 0.5 * F.cross_entropy(y.reshape(-1, y.shape[-1]), targets, ignore_index=-1, reduction="sum")


def attention(q, k, v):
    """Causal; (1, T, H, D) each, heads of q sharing those of k and v."""
    shared = q.shape[2] // k.shape[2]
    q, k, v = (t.transpose(1, 2) for t in (q, k.repeat_interleave(shared, 2), v.repeat_interleave(shared, 2)))
    seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    scores = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).masked_fill(~seen, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2)


def rope(x):
    half = x.shape[3] // 2
    powers = torch.arange(half, dtype=x.dtype) / half
    angles = torch.arange(x.shape[1], dtype=x.dtype)[:, None, None] / 100.0**powers
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def perceptron(x, w1, b1, w2, b2):
    return gelu(x @ w1 + b1) @ w2 + b2


def gpt_attention(x, weight, bias, c_attn, c_proj, table):
    n = F.layer_norm(x, weight.shape, weight, bias, EPSILON)
    heads = [part.reshape(1, x.shape[1], 2, -1) for part in (n @ c_attn).split(x.shape[2], 2)]
    return (x + attention(*heads).reshape(x.shape) @ c_proj) @ table.T


def llama_block(x, weight, q, k, v, gate, up, down):
    n = x * torch.rsqrt((x**2).mean(-1, keepdim=True) + EPSILON) * weight
    q, k, v = ((n @ w).reshape(1, x.shape[1], -1, 2) for w in (q, k, v))
    x = x + attention(rope(q), rope(k), v).reshape(x.shape)
    return x + (F.silu(x @ gate) * (x @ up)) @ down


MODELS = {
    "perceptron": (perceptron, half_square),
    "gpt_attention": (gpt_attention, classified),
    "llama_block": (llama_block, half_square),
}


class Comparison:
    def __init__(self, folder):
        self.folder = folder
        self.worst = {}
        self.agrees = True

    def read(self, name):
        return torch.from_numpy(numpy.fromfile(self.folder / name, dtype=numpy.float64))

    def hold(self, what, name, theirs):
        ours = self.read(name)
        theirs = theirs.reshape(-1)
        error = float((ours - theirs).abs().max() / theirs.abs().max())
        self.worst[what] = max(self.worst.get(what, 0.0), error)
        if not error <= TOLERANCE:  # also when it is NaN
            self.agrees = False
            print(f"FAILED: {name}: relative difference {error:.2e}")

    def model(self, about):
        name = about["name"]
        outputs, loss = MODELS[name]
        inputs, tangents = (
            tuple(self.read(f"{name}.{kind}.{i}").reshape(shape) for i, shape in enumerate(about["inputs"]))
            for kind in ("input", "tangent")
        )
        value, along = jvp(outputs, inputs, tangents)
        self.hold("outputs", f"{name}.outputs", value)
        self.hold("jvp", f"{name}.jvp", along)
        for i, part in enumerate(jacobian(outputs, inputs)):
            self.hold("jacobian", f"{name}.jacobian.{i}", part)
        self.hold("loss", f"{name}.loss", loss(outputs(*inputs)))
        blocks = hessian(lambda *x: loss(outputs(*x)), inputs)
        rows = [
            torch.cat([b.reshape(x.numel(), y.numel()) for b, y in zip(row, inputs)], 1)
            for row, x in zip(blocks, inputs)
        ]
        self.hold("hessian", f"{name}.hessian", torch.cat(rows))
        print(f"{name}: Hessian of {sum(x.numel() for x in inputs)} by as many")


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([sys.argv[1], name], check=True)
        comparison = Comparison(folder)
        for about in json.loads((folder / "models.json").read_text()):
            comparison.model(about)
    worst = comparison.worst
    print("largest relative differences: " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    sys.exit(0 if comparison.agrees else 1)


if __name__ == "__main__":
    main()
