"""One datacenter of PyTorch's DistributedDataParallel over gloo, on the model of torch_gpt.py; the first prints one JSON line.

Runs in build/bench-python, started by theirs.py, which says how.
"""
import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

import torch_gpt


def hook(model, name):
    """What gradients go through before they travel."""
    if name == "none":
        return
    if name.startswith("power-sgd:"):
        state = powerSGD_hook.PowerSGDState(None, matrix_approximation_rank=int(name.split(":")[1]), start_powerSGD_iter=2)
        return model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
    model.register_comm_hook(None, {"bf16": default_hooks.bf16_compress_hook, "fp16": default_hooks.fp16_compress_hook}[name])


class Loss(torch.nn.Module):
    """DDP watches forward(), so the loss is a part of it."""

    def __init__(self):
        super().__init__()
        self.gpt = torch_gpt.Gpt()

    def forward(self, tokens, targets):
        return self.gpt(tokens, targets)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--meet", required=True, help="tcp://ADDRESS:PORT of the first")
    parser.add_argument("--bucket-mb", type=int, default=25, help="of gradients that travel together")
    parser.add_argument("--hook", default="none", help="none, bf16, fp16 or power-sgd:RANK")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    torch.manual_seed(torch_gpt.SEED)
    dist.init_process_group("gloo", init_method=options.meet, rank=options.rank, world_size=2)
    model = DistributedDataParallel(Loss(), bucket_cap_mb=options.bucket_mb, gradient_as_bucket_view=True, static_graph=True)
    hook(model, options.hook)
    optimizer = torch_gpt.adamw(model)
    ends, loss = [], None
    for step in range(options.warmup + options.steps):
        if step == options.warmup:
            dist.barrier()
            ends.append(time.perf_counter())
        optimizer.zero_grad(set_to_none=True)
        loss = model(*torch_gpt.batch_of(2 * step + options.rank))  # each datacenter has rows of its own
        loss.backward()
        optimizer.step()
        if step >= options.warmup:
            ends.append(time.perf_counter())
    if options.rank == 0:
        steps = [after - before for before, after in zip(ends, ends[1:])]
        tokens = 2 * torch_gpt.BATCH * torch_gpt.CONTEXT
        print(json.dumps({"tokens_per_second": tokens * len(steps) / sum(steps), "step_seconds": sum(steps) / len(steps),
                          "step_least": min(steps), "step_most": max(steps), "loss": loss.item(), "torch": torch.__version__}),
              flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
