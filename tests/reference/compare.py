"""Holds Atoll's GPT against PyTorch: same weights, same tokens, five AdamW steps.

usage: compare.py PATH_OF_reference_gpt
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
except ImportError as missing:
    print(f"SKIPPED: {missing}; install python3-torch to compare Atoll with PyTorch")
    sys.exit(77)

TOLERANCE = 1e-4


def load(folder, kind, parameter):
    raw = numpy.fromfile(folder / f"{kind}.{parameter['name']}", dtype=numpy.float32)
    return torch.from_numpy(raw.reshape(parameter["shape"]))


def gpt2(config, w, tokens):
    """Logits of GPT-2 with Hugging Face's parameter names and [in, out] matrices."""
    length, channels, heads = tokens.shape[1], config["n_embd"], config["n_head"]
    causal = torch.ones(length, length, dtype=torch.bool).tril()

    def norm(x, name):
        return F.layer_norm(x, (channels,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    def linear(x, name):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    def split(x):
        return x.view(x.shape[0], length, heads, channels // heads).transpose(1, 2)

    x = w["wte.weight"][tokens] + w["wpe.weight"][:length]
    for i in range(config["n_layer"]):
        q, k, v = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(channels, dim=2)
        scores = split(q) @ split(k).transpose(2, 3) / math.sqrt(channels // heads)
        weights = scores.masked_fill(~causal, -math.inf).softmax(dim=-1)
        mixed = (weights @ split(v)).transpose(1, 2).reshape(x.shape)
        x = x + linear(mixed, f"h.{i}.attn.c_proj")
        inner = linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")
        # gelu_new, written out.
        u = math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)
        x = x + linear(0.5 * inner * (1 + torch.tanh(u)), f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


def compare(folder):
    about = json.loads((folder / "about.json").read_text())
    config, parameters = about["config"], about["parameters"]
    w = {p["name"]: load(folder, "weight", p).requires_grad_() for p in parameters}
    groups = [
        {
            "params": [w[p["name"]] for p in parameters if p["decay"] == decay],
            "weight_decay": about["weight_decay"] if decay else 0.0,
        }
        for decay in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), eps=1e-8)
    worst = {"loss": 0.0, "gradient": 0.0, "final weight": 0.0}

    def hold(what, name, ours, theirs):
        error = float((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12))
        worst[what] = max(worst[what], error)
        if not error <= TOLERANCE:
            print(f"FAILED: {what} {name}: relative difference {error:.2e}")

    for step, ours in enumerate(about["losses"]):
        raw = numpy.fromfile(folder / f"tokens.{step}", dtype=numpy.int32)
        stream = torch.from_numpy(raw.reshape(about["batch"], -1)).long()
        logits = gpt2(config, w, stream[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, config["vocab_size"]), stream[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        print(f"step {step}: loss {ours:.7f} Atoll, {loss.item():.7f} PyTorch")
        hold("loss", step, torch.tensor(ours), loss.detach())
        if step == 0:
            for p in parameters:
                hold("gradient", p["name"], load(folder, "grad", p), w[p["name"]].grad)
        optimizer.step()
    # Adam divides by the root of tiny second moments: an element whose gradient is rounding noise may
    # take a step of either sign, so the weights are reported and not held.
    for p in parameters:
        ours, theirs = load(folder, "final", p), w[p["name"]].detach()
        error = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-12))
        worst["final weight"] = max(worst["final weight"], error)
    print("largest relative differences: " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    return max(worst["loss"], worst["gradient"]) <= TOLERANCE


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        sys.exit(0 if compare(pathlib.Path(folder)) else 1)


if __name__ == "__main__":
    main()
