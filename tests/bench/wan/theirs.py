"""Runs of what Atoll is held against, on the same lines: PyTorch's DDP over gloo, and plain TCP."""
import json
import os
import pathlib
import subprocess
import sys

from cells import Failed
from lines import ROOT, check_line, rig
import wan

sys.path.insert(0, str(ROOT / "tests/bench"))
from peer import ALLOCATORS, HOME

PORT = 29400  # of the namespace, where nobody else is
LONGEST = 3600


def ddp(settings):
    """Figures of a run of two datacenters of DDP with one thread each."""
    if not (HOME / "complete").exists():
        raise Failed("build/bench-python is missing; run scripts/bench-python")
    environment = {**os.environ, **ALLOCATORS[settings["allocator"]], "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
                   "GLOO_SOCKET_IFNAME": "wan0"}
    program = pathlib.Path(__file__).with_name("ddp.py")
    with rig(settings["line"]) as sides:
        before = sides.line.stats()
        ranks = [side.start([HOME / "bin/python", program, "--rank", rank, "--meet", f"tcp://{sides.a.address}:{PORT}", "--bucket-mb",
                             settings["bucket_mb"], "--hook", settings["hook"], "--steps", settings["steps"]],
                            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                 for rank, side in enumerate((sides.a, sides.b))]
        said = [rank.communicate(timeout=LONGEST) for rank in ranks]
        for rank, (_, errors) in zip(ranks, said):
            if rank.returncode != 0:
                raise Failed(f"ddp.py ended with {rank.returncode}: {errors.strip()[-600:]}")
        carried = sides.line.stats()
        check_line(sides.line, carried)
    return {**json.loads(said[0][0].strip().splitlines()[-1]),
            "line_bytes": [carried[way]["delivered_bytes"] - before[way]["delivered_bytes"] for way in ("ab", "ba")]}


def flow(settings):
    """Payload a second of plain TCP flows."""
    with rig(settings["line"]) as sides:
        sent = wan.flows(sides.a, sides.b, settings["flows"], settings["congestion"], settings["seconds"], skip=2)
        check_line(sides.line, sides.line.stats())
        return {"mbit": sent["goodput_mbit"]}
