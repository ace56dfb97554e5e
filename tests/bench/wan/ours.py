"""Runs of Atoll on a line of the emulator: a job of two datacenters of one node each, or the sealed channel alone."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

import changes
from cells import Failed
from lines import ROOT, as_topology, check_line, rig
from metrics import WARM, losses_in
import long_line

# For LinkCluster, which fills in the addresses.
TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{{{name: bench}}}}
spec:
  datacenters:
    - {{{{name: east, nodes: [{{{{name: east-0, memory: 4GiB, threads: 1, address: {{a}}, {east}}}}}]}}}}
    - {{{{name: west, nodes: [{{{{name: west-0, memory: 4GiB, threads: 1, address: {{b}}, {west}}}}}]}}}}
  lines: [{{{{between: [east, west], {line}}}}}]
"""
MODEL = {"type": "gpt2", "vocab_size": 256, "n_positions": 256, "n_embd": 384, "n_layer": 6, "n_head": 6}
CONTEXT = 256
# Points of a run's curve that are kept.
POINTS = 100
LONGEST = 4 * 3600  # seconds of a run
# What a device is measured with: the shape of a micro-batch.
ONE_STEP = {"steps": 1, "leaves": 2, "sequences": 8, "evaluation": 0, "parallelism": {"dp": 2}, "codecs": {}}


def job_of(settings, seed):
    """The descriptor, in JSON, which is YAML. `datacenters` is passed on where a cell has it."""
    steps, rate = settings["steps"], settings.get("learning_rate", 1e-3)
    spec = {
        "topology": "topology.yaml",
        "model": MODEL,
        "data": {"path": str(ROOT / "data/bible")},
        "optimizer": {"name": "adamw", "learningRate": rate, "minimumLearningRate": rate / 10, "warmupSteps": min(50, steps // 5),
                      "weightDecay": 0.1, "clipNorm": 1.0},
        "training": {"steps": steps, "seed": seed, "leaves": settings["leaves"], "sequencesPerLeaf": settings["sequences"],
                     "context": CONTEXT},
        "evaluation": {"every": 0, "rounds": settings["evaluation"]},
        "parallelism": settings["parallelism"],
        "codecs": settings["codecs"],
        "peerTimeout": "20s",  # two datacenters and the line share two cores with whatever else runs
    }
    if "datacenters" in settings:
        spec["datacenters"] = settings["datacenters"]
    return {"apiVersion": "atoll.dev/v1", "kind": "TrainingJob", "metadata": {"name": "bench"}, "spec": spec}


def topology_of(settings, device):
    """Of the measured device, or where a cell says so of paced ones; without addresses."""
    measured = f"speed: {device['speed']}, bandwidth: {device['bandwidth']}"
    paced = {name: f"speed: {speed}, paced: true" for name, speed in settings.get("paced", {}).items()}
    return TOPOLOGY.format(line=as_topology(settings["line"]), east=paced.get("east", measured), west=paced.get("west", measured))


def train(settings, seed):
    """Figures of one run of a job. Its plan is of the devices as they are now: this machine's speed wanders from hour to hour."""
    device = measure_device()
    with rig(settings["line"]) as sides, tempfile.TemporaryDirectory(prefix="atoll-wan-bench-") as home:
        folder = pathlib.Path(home)
        job, run = folder / "job.yaml", folder / "run"
        job.write_text(json.dumps(job_of(settings, seed)))
        with long_line.LinkCluster(sides.a, sides.b, folder, topology_of(settings, device)) as cluster:
            before = sides.line.stats()
            running = sides.a.start([long_line.ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", cluster.scheduler,
                                     "--identity", "cluster/client"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True)
            figures_of_changes = changes.make(sides.line, settings, run, running)
            out, errors = running.communicate(timeout=LONGEST)
            if running.returncode != 0:
                raise Failed(f"atoll run ended with {running.returncode}: {(errors.strip() or out.strip())[-600:]}; {said(folder)}")
            carried = sides.line.stats()
        check_line(sides.line, carried)
        return {**figures_of(settings, run, json.loads(out.strip().splitlines()[-1])),
                **figures_of_changes(), **(predicted_kept(settings, job, device) if "turns" in settings else {}),
                "device": device,
                "line_bytes": [carried[way]["delivered_bytes"] - before[way]["delivered_bytes"] for way in ("ab", "ba")],
                "log": said(folder)}


def predicted_kept(settings, job, device):
    """What plans say that the cell's line leaves of the speed that there is on the one it takes turns with."""
    seconds = []
    for on in (settings["line"], settings["turns"]["line"]):
        topology = topology_of({**settings, "line": on}, device).format(a="10.77.0.1", b="10.77.0.2")
        job.with_name("topology.yaml").write_text(topology)
        planned = subprocess.run([long_line.ATOLL, "plan", job, "--format", "json"], capture_output=True, text=True)
        if planned.returncode != 0:
            raise Failed(f"atoll plan: {planned.stderr.strip()}")
        first, _ = json.JSONDecoder().raw_decode(planned.stdout)  # of datacenters by themselves there is one of each
        seconds.append(first["predictedStepSeconds"])
    return {"predicted_kept": seconds[1] / seconds[0]}


def here(settings, seed):
    """Figures of one run without a line, in one process with all processors. Where they are changes no bit of
    lock-step without codecs (tests/cluster), so its losses are those of any line."""
    with tempfile.TemporaryDirectory(prefix="atoll-wan-bench-") as home:
        job, run = pathlib.Path(home) / "job.yaml", pathlib.Path(home) / "run"
        job.write_text(json.dumps(job_of(settings, seed)))
        shutil.copy(ROOT / "configs/topologies/one-node.yaml", job.with_name("topology.yaml"))
        done = subprocess.run([long_line.ATOLL, "run", job, "--json", "--run-dir", run], cwd=home,
                              capture_output=True, text=True, timeout=LONGEST)
        if done.returncode != 0:
            raise Failed(f"atoll run ended with {done.returncode}: {(done.stderr.strip() or done.stdout.strip())[-600:]}")
        return figures_of(settings, run, json.loads(done.stdout.strip().splitlines()[-1]))


def figures_of(settings, run, summary):
    """Of a job in lock-step; of datacenters by themselves what they make together, and else the first one's figures. Of one whose line
    is cut the first one's alone."""
    if "datacenters" not in settings:
        return figures_in(settings, run, summary)
    islands = [figures_in(settings, run / name, summary) for name in ("east", "west")[:1 if "cut" in settings else 2]]
    return {**islands[0], "tokens_per_second": sum(one["tokens_per_second"] for one in islands),
            # From the first step to the last of whoever is last: that one waits for another counts, too.
            "tokens_per_second_to_the_end": sum(one["tokens"] for one in islands) / max(one["seconds"] for one in islands)}


def figures_in(settings, run, summary):
    losses = losses_in(run / "metrics.jsonl")
    ends = [line["seconds"] for line in losses]
    if len(ends) < WARM + 2:
        raise Failed(f"{len(ends)} steps are too few to measure; give at least {WARM + 2}")
    steps = [after - before for before, after in zip(ends[WARM:], ends[WARM + 1:])]
    tokens = settings["leaves"] * settings["sequences"] * CONTEXT
    every = max(1, len(losses) // POINTS)
    return {
        "tokens_per_second": tokens * len(steps) / sum(steps),
        "tokens": tokens * len(steps),
        "seconds": sum(steps),
        "step_seconds": sum(steps) / len(steps),
        "step_least": min(steps),
        "step_most": max(steps),
        "predicted_seconds": json.loads((run / "plan.json").read_text())["predictedStepSeconds"],
        "loss": losses[-1]["loss"],
        "validation_loss": summary.get("val_loss"),
        "wire_bytes": summary["wire_bytes"],
        "payload_bytes": summary["payload_bytes"],
        "curve": [point(losses[first : first + every]) for first in range(0, len(losses), every)],
    }


def point(lines):
    """Of a curve: the last step of some, when it ended, and their mean loss."""
    return [lines[-1]["step"], round(lines[-1]["seconds"], 3), round(statistics.mean(line["loss"] for line in lines), 4)]


def said(folder):
    """What nodes had to say, such as the codecs that they chose."""
    return {name: (folder / f"{name}.log").read_text().splitlines()[-5:] for name in ("east-0", "west-0")}


def stream(settings):
    """Payload a second of the sealed channel between the nodes, as `atoll link test` counts it."""
    with rig(settings["line"]) as sides, tempfile.TemporaryDirectory(prefix="atoll-wan-bench-") as home:
        with long_line.LinkCluster(sides.a, sides.b, home) as cluster:
            report = cluster.test(settings["flows"], settings["seconds"], settings["congestion"])
        check_line(sides.line, sides.line.stats())
        return {"mbit": report["rate"] / 1e6}


def measure_device():
    """Speed and bandwidth of a datacenter's device, as a topology says them. Both are measured at once, since they share this
    machine; a plan that knew only one of them alone would promise too much."""
    with tempfile.TemporaryDirectory(prefix="atoll-wan-bench-") as home:
        job = pathlib.Path(home) / "job.yaml"
        job.write_text(json.dumps(job_of(ONE_STEP, 1)))
        measuring = [subprocess.Popen([long_line.ATOLL, "topology", "measure", "--json", "--threads", "1", "--job", job],
                                      env={**os.environ, "ATOLL_CACHE": f"{home}/{i}"}, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True) for i in range(2)]
        said = [one.communicate(timeout=300) for one in measuring]
    if any(one.returncode for one in measuring):
        raise Failed(f"atoll topology measure: {said[0][1].strip()}")
    profiles = [json.loads(answer)["profiles"][0] for answer, _ in said]
    speed = statistics.mean(profile["fp32"]["block"] for profile in profiles)
    bandwidth = statistics.mean(profile["bandwidth"] for profile in profiles)
    return {"speed": f"{speed / 1e9:.4g}GFLOP/s", "bandwidth": f"{bandwidth / 1e9:.4g}GB/s"}
