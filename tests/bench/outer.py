#!/usr/bin/env python3
"""Local steps of a small model in settings of their own, by the loss that each comes to; one JSON line a run. To look at settings and
codecs in minutes before tests/bench/wan holds few of them against lock-step in hours.

    python3 tests/bench/outer.py sync,2e-3 64,int4+zstd,0.7,0.8,2e-3 16,top-k:0.1:int2+zstd,0.7,0.8,4e-3

A setting is H, codec, outer rate, outer momentum and learning rate, or "sync" and a learning rate. Two datacenters of one thread
each, in an embedded cluster; a GPT-2 of 4 layers of 128, batches of 8 x 128 in each. Needs scripts/build and data/bible.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATOLL = os.environ.get("ATOLL", str(ROOT / "build/release/bin/atoll"))
CONTEXT = 128
MODEL = {"type": "gpt2", "vocab_size": 256, "n_positions": CONTEXT, "n_embd": 128, "n_layer": 4, "n_head": 4}
ONE = "[{name: here, nodes: [{name: here-0, memory: 1GiB, threads: 2}]}]"
TWO = "[{name: east, nodes: [{name: east-0, memory: 1GiB, threads: 1}]}, {name: west, nodes: [{name: west-0, memory: 1GiB, threads: 1}]}]"
TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: outer}}
spec:
  datacenters: {datacenters}
  lines: [{lines}]
"""


def setting_of(text):
    """What a job says of its datacenters, none in lock-step, and its learning rate."""
    parts = text.split(",")
    try:
        if parts[0] == "sync" and len(parts) == 2:
            return None, float(parts[1])
        inner, codec, rate, momentum, learning_rate = parts
        return {"mode": "local_steps", "inner_steps": int(inner), "codec": codec, "outer_learning_rate": float(rate),
                "outer_momentum": float(momentum)}, float(learning_rate)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: give H,codec,outer rate,outer momentum,learning rate or sync,learning rate")


def run(setting, steps, batch, seed):
    datacenters, rate = setting
    leaves = 2 if datacenters is None else 1
    spec = {
        "topology": "topology.yaml",
        "model": MODEL,
        "data": {"path": str(ROOT / "data/bible")},
        "optimizer": {"name": "adamw", "learningRate": rate, "minimumLearningRate": rate / 10, "warmupSteps": min(50, steps // 5),
                      "weightDecay": 0.1, "clipNorm": 1.0},
        "training": {"steps": steps, "seed": seed, "leaves": leaves, "sequencesPerLeaf": batch, "context": CONTEXT},
        "evaluation": {"every": 0, "rounds": 512 // batch // leaves},
        "parallelism": {},
        "codecs": {},
        "peerTimeout": "60s",  # whatever else this machine does
    }
    if datacenters is not None:
        spec["datacenters"] = datacenters
    with tempfile.TemporaryDirectory(prefix="atoll-outer-") as home:
        job = pathlib.Path(home) / "job.yaml"
        job.write_text(json.dumps({"apiVersion": "atoll.dev/v1", "kind": "TrainingJob", "metadata": {"name": "outer"}, "spec": spec}))
        job.with_name("topology.yaml").write_text(
            TOPOLOGY.format(datacenters=TWO, lines="{between: [east, west], rate: 10Gbit/s, roundTrip: 1ms}") if datacenters else
            TOPOLOGY.format(datacenters=ONE, lines=""))
        done = subprocess.run([ATOLL, "run", job, "--json", "--quiet", "--run-dir", job.with_name("run")], cwd=home,
                              capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"atoll run ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    return {"validation_loss": summary["val_loss"], "wire_bytes": summary["wire_bytes"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="+", metavar="SETTING")
    parser.add_argument("--batch", type=int, default=8, help="sequences of a step in each datacenter (default: 8)")
    parser.add_argument("--steps", type=int, help="of each datacenter (default: 4 million tokens of both)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    steps = options.steps or 4_000_000 // (2 * options.batch * CONTEXT)
    for text in options.settings:
        try:
            setting = setting_of(text)
        except argparse.ArgumentTypeError as wrong:
            parser.error(str(wrong))
        print(json.dumps({"setting": text, "batch": options.batch, **run(setting, steps, options.batch, options.seed)}), flush=True)


if __name__ == "__main__":
    main()
