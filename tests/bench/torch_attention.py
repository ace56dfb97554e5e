"""Attention in PyTorch, forward and backward: what compare_attention.py holds ours against. Prints one JSON line."""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F

# As `atoll bench attention` has it.
HEADS, WIDTH = 6, 64


def composition(q, k, v, hidden):
    """Product, mask, softmax, product."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(WIDTH)
    return torch.softmax(scores.masked_fill(hidden, -math.inf), -1) @ v


def fused(q, k, v, _):
    """PyTorch's own fused kernel."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


FORMS = {"composition": composition, "compiled": torch.compile(composition), "fused": fused}


def main():
    parser = argparse.ArgumentParser(description="Times PyTorch's causal attention; prints one JSON line.")
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--turns", type=int, default=8, help="timed turns, after three others")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    shape = (1, HEADS, options.context, WIDTH)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    grad = torch.randn(shape)
    hidden = torch.ones(options.context, options.context, dtype=torch.bool).triu(1)
    seconds = []
    for _ in range(3 + options.turns):
        start = time.perf_counter()
        FORMS[options.form](q, k, v, hidden).backward(grad)
        seconds.append(time.perf_counter() - start)
        q.grad = k.grad = v.grad = None
    print(json.dumps({"per_second": 1 / statistics.median(seconds[3:]), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
