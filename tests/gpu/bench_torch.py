"""The measurements of gpu_bench, in the same lines, by PyTorch."""

import statistics
import time

import torch
import torch.nn.functional as F

RUNS, CALLS = 9, 10
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def milliseconds(call):
    times = []
    for run in range(RUNS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        torch.cuda.synchronize()
        if run > 0:
            times.append((time.perf_counter() - start) * 1e3 / CALLS)
    return statistics.median(times)


def report(what, flops, call):
    spent = milliseconds(call)
    print(f"{what:<48} {spent:10.3f} ms {flops / spent * 1e-9:9.1f} TFLOP/s", flush=True)


def products():
    for name, dtype in DTYPES.items():
        for n in (1024, 4096, 8192):
            a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
            report(f"matmul {name} {n}", 2.0 * n**3, lambda: a @ b)


def attentions():
    for name, dtype in DTYPES.items():
        for length in (1024, 4096):
            shape = (4, 16, length, 64)
            q, k, v, grad = (torch.randn(shape, device="cuda", dtype=dtype) for _ in range(4))
            product = q.numel() * length
            report(f"attention {name} {length}", 2.0 * product,
                   lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True))
            leaves = [x.requires_grad_() for x in (q, k, v)]
            out = F.scaled_dot_product_attention(*leaves, is_causal=True)
            report(f"attention backward {name} {length}", 5.0 * product,
                   lambda: torch.autograd.grad(out, leaves, grad, retain_graph=True))


class Block(torch.nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attn, self.proj = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.attn(self.ln_1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Gpt(torch.nn.Module):
    def __init__(self, vocabulary=50304, length=1024, width=768, layers=12, heads=12):
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(vocabulary, width), torch.nn.Embedding(length, width)
        self.blocks = torch.nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.ln_f = torch.nn.LayerNorm(width)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        logits = self.ln_f(self.blocks(x)) @ self.wte.weight.T
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def steps():
    tokens = torch.full((4, 1024), 17, device="cuda")
    for name, dtype in DTYPES.items():
        model = Gpt().cuda()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        matrices = 12 * 12 * 768**2 + 50304 * 768
        flops = 3.0 * 2 * tokens.numel() * (matrices + 12 * 768 * 1024)

        def step():
            with torch.autocast("cuda", dtype, enabled=dtype is torch.bfloat16):
                loss = model(tokens, tokens)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        report(f"step {name}", flops, step)


if __name__ == "__main__":
    print(f"torch {torch.__version__}, TF32 {'on' if torch.backends.cuda.matmul.allow_tf32 else 'off'}")
    products()
    attentions()
    steps()
