"""Holds Atoll's models against `transformers`: same configuration, weights and tokens, hence the same loss and gradients.

usage: transformers_compare.py PATH_OF_reference_model
Exits 0 when all agree, 1 when not, 77 (skipped, for ctest) without transformers.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
    import transformers
except ImportError as missing:
    print(f"SKIPPED: {missing}; scripts/python-packages installs it")
    sys.exit(77)

TOLERANCE = 1e-4

GPT2 = dict(model_type="gpt2", vocab_size=96, n_positions=40, n_embd=48, n_layer=3, n_head=4, embd_pdrop=0.0,
            attn_pdrop=0.0, resid_pdrop=0.0)
LLAMA = dict(model_type="llama", vocab_size=96, hidden_size=48, intermediate_size=104, num_hidden_layers=3,
             num_attention_heads=6, max_position_embeddings=40)
# An initial range that lets every part, and not only the residual path, matter.
MODELS = {
    "GPT-2": GPT2,
    "GPT-2, narrow feed-forward": {**GPT2, "n_inner": 72, "initializer_range": 0.2},
    "Llama": {**LLAMA, "num_key_value_heads": 6},
    "Llama, grouped queries": {**LLAMA, "num_key_value_heads": 2, "initializer_range": 0.2},
    "Llama, one head of keys, tied": {**LLAMA, "num_key_value_heads": 1, "tie_word_embeddings": True,
                                      "initializer_range": 0.2},
    "Llama, other base and epsilon, tied": {**LLAMA, "num_key_value_heads": 3, "tie_word_embeddings": True,
                                            "rope_theta": 500000.0, "rms_norm_eps": 1e-3, "initializer_range": 0.1},
}


def build(config):
    kind = {"gpt2": transformers.GPT2Config, "llama": transformers.LlamaConfig}[config["model_type"]]
    settings = kind(**{key: value for key, value in config.items() if key != "model_type"})
    return transformers.AutoModelForCausalLM.from_config(settings, attn_implementation="eager").eval()


def tensors(folder, kind, parameters):
    for parameter in parameters:
        raw = numpy.fromfile(folder / f"{kind}.{parameter['name']}", dtype=numpy.float32)
        yield parameter["name"], torch.from_numpy(raw.reshape(parameter["shape"]))


def compare(name, config, folder):
    about = json.loads((folder / "about.json").read_text())
    model = build(config)
    prefix = "transformer." if config["model_type"] == "gpt2" else ""
    theirs = dict(model.named_parameters())  # a tied table once
    ours = {prefix + key: value for key, value in tensors(folder, "weight", about["parameters"])}
    if ours.keys() != theirs.keys():
        print(f"FAILED: {name}: other parameters: {sorted(ours.keys() ^ theirs.keys())}")
        return False
    with torch.no_grad():
        for key, value in ours.items():
            theirs[key].copy_(value)
    shape = (-1, config.get("n_positions") or config["max_position_embeddings"])
    tokens, targets = (torch.from_numpy(numpy.fromfile(folder / part, dtype=numpy.int32).reshape(shape)).long()
                       for part in ("tokens", "targets"))
    logits = model(input_ids=tokens).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    worst = {"loss": abs(about["loss"] - loss.item()) / loss.item()}
    for key, value in tensors(folder, "grad", about["parameters"]):
        grad = theirs[prefix + key].grad
        worst[key] = float((value - grad).abs().max() / grad.abs().max().clamp_min(1e-12))
    of = max(worst, key=worst.get)
    print(f"{name}: loss {about['loss']:.7f} Atoll, {loss.item():.7f} transformers; "
          f"largest relative difference {worst[of]:.1e}, of {of}")
    return worst[of] <= TOLERANCE


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    passed = True
    for name, config in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "config.json"
            file.write_text(json.dumps(config))
            subprocess.run([sys.argv[1], file, folder], check=True)
            passed &= compare(name, config, pathlib.Path(folder))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
