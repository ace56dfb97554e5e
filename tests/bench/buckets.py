#!/usr/bin/env python3
"""What a step takes with a slow line between two replicas, its gradients in one bucket and in several.

usage: buckets.py [--rate 100mbit] [--steps N]

Needs scripts/build, data/bible (scripts/quickstart makes it) and root, for two namespaces of the network with a cable of this rate
(tc tbf) between them. The devices are PACED, so that computing and sending take about as long on any machine. Rows, as JSON lines:
seconds of a step in the median, as measured and as predicted.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/cluster"), str(ROOT / "tests/cluster/wan")]
import os
os.environ.setdefault("ATOLL", str(ROOT / "build/release/bin/atoll"))
import long_line
import wan
from test_line_changes import Cable

DEVICE = "memory: 1GiB, speed: 3.3GFLOP/s, paced: true"
JOB = """apiVersion: atoll.dev/v1
kind: TrainingJob
metadata: {{name: buckets}}
spec:
  topology: topology.yaml
  model: {{type: gpt2, vocab_size: 256, n_positions: 128, n_embd: 256, n_layer: 8, n_head: 4}}
  data: {{path: {data}}}
  training: {{steps: {steps}, leaves: 2, sequencesPerLeaf: 2, context: 128}}
  evaluation: {{every: 0, rounds: 0}}
  parallelism: {{dp: 2{more}}}
"""
LAYOUTS = {"one": ", bucket_bytes: 1099511627776", "several": "", "one-shared-out": ", zero_stage: 1, bucket_bytes: 1099511627776",
           "several-shared-out": ", zero_stage: 1, bucket_bytes: 4194304"}


def train(rig, cluster, folder, name, more, steps):
    job, run = folder / f"{name}.yaml", folder / f"run-{name}"
    job.write_text(JOB.format(data=ROOT / "data/bible", steps=steps, more=more))
    done = rig.a.run([long_line.ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", cluster.scheduler, "--identity",
                      "cluster/client"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    plan = json.loads((run / "plan.json").read_text())
    ends = [json.loads(line)["seconds"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    syncs = sum(actor["kind"] == "gradient sync" and actor["replica"] == 0 for actor in plan["actors"])
    return {"row": name, "buckets": syncs, "measured": round(statistics.median(b - a for a, b in zip(ends[1:], ends[2:])), 3),
            "predicted": round(plan["predictedStepSeconds"], 3)}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", default="100mbit")
    options.add_argument("--steps", type=int, default=8)
    options = options.parse_args()
    wan.require()
    long_line.TOPOLOGY = (long_line.TOPOLOGY.replace("memory: 1GiB", DEVICE)
                          .replace("1Mbit/s", options.rate.replace("mbit", "Mbit/s")))
    for name, more in LAYOUTS.items():
        with tempfile.TemporaryDirectory(prefix="atoll-buckets-") as home, Cable() as rig:
            rig.rate(options.rate)
            folder = pathlib.Path(home)
            with long_line.LinkCluster(rig.a, rig.b, folder) as cluster:
                print(json.dumps(train(rig, cluster, folder, name, more, options.steps)), flush=True)


if __name__ == "__main__":
    main()
