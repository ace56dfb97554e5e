"""PyTorch's side of the step benchmark: the training step of a small GPT-2, as a careful PyTorch user writes it.

Prints one JSON line. README.md beside this file states the model, the tokens and the fields, for both sides.
The environment (OpenMP runtime, allocator, binding of threads) is the caller's, since it must stand before the
process starts; compare_torch.py looks for the best one.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY, CONTEXT, BATCH = 256, 256, 8
LAYERS, WIDTH, HEADS = 6, 384, 6
SEED = 1

# What the environment may say that changes the speed.
ENVIRONMENT = (
    "OMP_", "MKL_", "KMP_", "GOMP_", "MALLOC_", "TCMALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "ONEDNN_", "THP_",
    "TORCHINDUCTOR_",
)
RUNTIMES = re.compile(r"lib(?:[gi]?omp|mkl|jemalloc|tcmalloc)\w*[-.\w]*\.so[.\d]*$")


class Block(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = nn.Linear(WIDTH, 3 * WIDTH)
        self.attn_proj = nn.Linear(WIDTH, WIDTH)
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.fc = nn.Linear(WIDTH, 4 * WIDTH)
        self.fc_proj = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = (
            part.view(BATCH, CONTEXT, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in self.attn(self.ln_1(x)).split(WIDTH, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(mixed.transpose(1, 2).reshape(BATCH, CONTEXT, WIDTH))
        return x + self.fc_proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    """GPT-2 with learnt positions and a tied head; forward() gives the mean cross-entropy."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, WIDTH)
        self.wpe = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = nn.LayerNorm(WIDTH)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe.weight
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, VOCABULARY).float(), targets.view(-1))


def batch_of(step):
    """Inputs and targets of a step; README.md has the formula."""
    token = (31 * torch.arange(BATCH) + 17 * step) % VOCABULARY
    stream = [token]
    for _ in range(CONTEXT):
        token = (5 * token + 17) % VOCABULARY
        stream.append(token)
    rows = torch.stack(stream, dim=1)
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def adamw(model):
    """Decay on matrices only."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)


def trainer(precision, mode):
    """A function that takes inputs and targets, does one step and returns the loss."""
    torch.manual_seed(SEED)
    model = Gpt()
    if precision == "bf16-pure":
        model.bfloat16()
    optimizer = adamw(model)
    forward = {
        "eager": lambda: model,
        "compile": lambda: torch.compile(model),
        "compile-max": lambda: torch.compile(model, mode="max-autotune-no-cudagraphs"),
    }[mode]()

    def step(tokens, targets):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = forward(tokens, targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def memory(field):
    """A memory field of this process, in bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def reset_high_water():
    """Makes VmHWM count from now; false where the kernel does not permit it."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def measure(step, warmup, steps):
    """Tokens per second and loss of each timed step. The warm-up steps compile, and fill the allocator."""
    batches = [batch_of(index) for index in range(warmup + steps)]
    for batch in batches[:warmup]:
        step(*batch)
    speeds, losses = [], []
    for batch in batches[warmup:]:
        start = time.perf_counter()
        losses.append(step(*batch))
        speeds.append(BATCH * CONTEXT / (time.perf_counter() - start))
    return speeds, losses


def about():
    """What this PyTorch is and which runtimes the process really uses."""
    build = torch.__config__.show()
    maps = pathlib.Path("/proc/self/maps").read_text().split("\n")
    mapped = {line.split("/")[-1] for line in maps if RUNTIMES.search(line)}
    return {
        "torch": torch.__version__,
        "build": [line.strip(" -") for line in build.split("\n") if re.search(r"GCC|oneAPI|MKL-DNN|OpenMP", line)],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "runtimes": sorted(mapped),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(ENVIRONMENT)},
    }


def arguments():
    parser = argparse.ArgumentParser(
        description="Measures PyTorch's training step of a small GPT-2; prints one JSON line.")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch's pool (default: 1)")
    parser.add_argument("--precision", choices=["fp32", "bf16", "bf16-pure", "bf16-products"], default="fp32",
                        help="bf16 is autocast over fp32 weights; bf16-pure keeps weights and moments in bf16 too; "
                             "bf16-products lets products of fp32 matrices be done in bf16 (default: fp32)")
    parser.add_argument("--mode", choices=["eager", "compile", "compile-max"], default="eager",
                        help="compile-max lets the compiler time alternatives")
    parser.add_argument("--steps", type=int, default=10, help="timed steps (default: 10)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them, compilation included (default: 2)")
    parser.add_argument("--affinity", metavar="CPUS", help="processors to stay on, such as 0,1 (default: as inherited)")
    return parser.parse_args()


def main():
    options = arguments()
    if options.affinity:
        os.sched_setaffinity(0, {int(cpu) for cpu in options.affinity.split(",")})
    # Before the pool's threads exist, since each inherits the mode of its creator.
    torch.set_flush_denormal(True)
    torch.set_num_threads(options.threads)
    if options.precision == "bf16-products":
        torch.set_float32_matmul_precision("medium")

    high_water_reset = reset_high_water()
    standing = memory("VmRSS")
    standing_file = memory("RssFile")
    step = trainer(options.precision, options.mode)
    speeds, losses = measure(step, options.warmup, options.steps)
    print(json.dumps({
        "row": "step",
        **vars(options),
        "affinity": sorted(os.sched_getaffinity(0)),
        "tokens_per_second": statistics.median(speeds),
        "tokens_per_second_all": speeds,
        "loss": losses[-1],
        "peak_rss_bytes": memory("VmHWM"),
        "standing_rss_bytes": standing,
        "code_rss_growth_bytes": memory("RssFile") - standing_file,
        "high_water_reset": high_water_reset,
        **about(),
    }))


if __name__ == "__main__":
    main()
