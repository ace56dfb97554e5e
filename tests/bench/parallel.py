#!/usr/bin/env python3
"""Pipelines, layouts and unequal devices: what a step takes beside what it must take at least.

usage: parallel.py [--only bubble|predict|unequal|unequal-dp] [--steps N]

Needs scripts/build and data/bible (scripts/quickstart makes it). Rows, as JSON lines:

  bubble-SCHEDULE-P    measured step over the theoretical one of P stages: the work of one device, shared, and the bubble
                       (p - 1) / m of 1F1B, a third of it of zero-bubble where forward and the halves of backward take
                       equally long (arXiv 2401.10241; with attention, whose products have no weights, a little more)
  predict              median over the layout matrix of |measured - predicted| / measured, of a step
  auto-2, auto-4       throughput of mode auto over the best layout of the matrix
  unequal-sum          throughput of devices 1:2:4 over the sum of their speeds
  unequal-uniform      the same over equally many layers on each
  unequal-dp           throughput of two replicas on devices 1:3, with micro-batches in that proportion, over the sum of speeds
  unequal-dp-equal     the same over equally many micro-batches on each

Two devices are real: two processes of one thread each. One of them alone would have the machine's memory, last-level cache and
clock for itself, which no schedule gives back: what the bubble of two is held against is a device that trains while another does
the same beside it. beside-2 says what that costs. Three and four are PACED: each computes really and then waits until a
device of its stated speed would have been done, so that more devices fit on a machine of two cores.
"""
import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATOLL = ROOT / "build/release/bin/atoll"
LEAVES = 16
BLOCKS = 7  # 1 + 2 + 4, for unequal devices
WIDTH = 192
PACED = 8.0  # GFLOP/s, of each of four: all of them together use a part of one core
# Of the bubble: two and four stages share the blocks out evenly, and the head weighs little beside them.
EVEN_BLOCKS = 8
EVEN_WIDTH = 384
EVEN_PACED = 24.0

TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: bench}}
spec:
  datacenters:
    - name: here
      nodes:
{nodes}
"""
JOB = """apiVersion: atoll.dev/v1
kind: TrainingJob
metadata: {{name: bench}}
spec:
  topology: topology.yaml
  model: {{type: gpt2, vocab_size: 256, n_positions: 128, n_embd: {width}, n_layer: {blocks}, n_head: 6}}
  data: {{path: {data}}}
  training: {{steps: {steps}, leaves: {leaves}, sequencesPerLeaf: 2, context: 128}}
  evaluation: {{every: 0, rounds: 0}}
  parallelism: {parallelism}
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def layout(dp=1, pp=1, schedule="1f1b", recompute="none", layers=None, tp=1, zero_stage=0, micro_batches=None):
    fields = {"dp": dp, "pp": pp, "tp": tp, "schedule": schedule, "recompute": recompute, "zero_stage": zero_stage}
    if layers:
        fields["layers"] = layers
    if micro_batches:
        fields["micro_batches"] = micro_batches
    return json.dumps(fields)


class Bench:
    def __init__(self, folder, steps, blocks=BLOCKS, width=WIDTH):
        self.blocks, self.width = blocks, width
        self.folder = pathlib.Path(folder)
        self.steps = steps
        self.runs = 0

    def write(self, speeds, parallelism):
        nodes = [f"        - {{name: here-{i}, memory: 4GiB" + (f", speed: {speed}GFLOP/s, paced: true" if speed else "") + "}"
                 for i, speed in enumerate(speeds)]
        (self.folder / "topology.yaml").write_text(TOPOLOGY.format(nodes="\n".join(nodes)))
        job = self.folder / "job.yaml"
        job.write_text(JOB.format(data=ROOT / "data/bible", steps=self.steps, leaves=LEAVES, blocks=self.blocks, width=self.width,
                                  parallelism=parallelism))
        return job

    def atoll(self, *arguments):
        done = subprocess.run([ATOLL, *map(str, arguments)], capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise SystemExit(f"atoll {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def measure_machine(self):
        """What plans assume of nodes that state no speed."""
        self.atoll("topology", "measure", "--job", self.write([None], layout()), "--threads", 1)

    def predicted(self, speeds, parallelism):
        return json.loads(self.atoll("simulate", self.write(speeds, parallelism), "--json"))["step_seconds"]

    def run(self, speeds, parallelism):
        """(measured, predicted, the plan): seconds of a step, the median but for the first three."""
        self.runs += 1
        return self.follow(self.write(speeds, parallelism), self.folder / f"run-{self.width}-{self.runs}", speeds, parallelism)

    def run_beside(self, count):
        """Seconds of a step of one device, the mean of as many that train the same job at once, each in a cluster of its own."""
        self.runs += 1
        job = self.write([None], layout())
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            runs = [pool.submit(self.follow, job, self.folder / f"run-{self.width}-{self.runs}-{i}", [None], layout())
                    for i in range(count)]
            return statistics.mean(run.result()[0] for run in runs)

    def follow(self, job, run, speeds, parallelism):
        self.atoll("run", job, "--json", "--run-dir", run)
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        ends = [line["seconds"] for line in lines if "loss" in line]
        steps = [after - before for before, after in zip(ends[2:], ends[3:])]
        plan = json.loads((run / "plan.json").read_text())
        measured, predicted = statistics.median(steps), plan["predictedStepSeconds"]
        say(f"{'paced' if speeds[0] else 'real'} {len(speeds)} devices, {parallelism}: {measured:.4f} s "
            f"({min(steps):.4f} to {max(steps):.4f}), predicted {predicted:.4f} s")
        return measured, predicted, plan


def print_row(name, ours, theirs, target, at_most):
    ratio = ours / theirs if theirs else None
    value = ours if ratio is None else ratio
    print(json.dumps({"row": name, "ours": ours, "theirs": theirs, "ratio": ratio, "target": target,
                      "holds": None if target is None else value <= target if at_most else value >= target}), flush=True)


def gaps(schedule):
    """Share of forward and backward that a stage waits at each end of a step. Of a block of C channels and T tokens products
    are 24 C of forward's 24 C + 2 T FLOPs, backward is twice forward, and weights' gradients are products alone."""
    forward, weights = 1.0, 24 * EVEN_WIDTH / (24 * EVEN_WIDTH + 2 * 128)
    inputs = 2 * forward - weights
    whole = forward + inputs + weights
    return 1.0 if schedule == "1f1b" else (forward + inputs - weights) / whole


def bubble_rows(bench):
    """Real devices in turns, since a machine's speed changes by more than a bubble in the minutes that they take."""
    for devices, speed in ((2, None), (4, EVEN_PACED)):
        alone, whole, measured = [], [], {"1f1b": [], "zero-bubble": []}
        for _ in range(3 if speed is None else 1):
            if speed is None:
                alone.append(bench.run([speed], layout())[0])
                whole.append(bench.run_beside(devices))
            else:
                whole.append(bench.predicted([speed], layout()))
            for schedule, steps in measured.items():
                steps.append(bench.run([speed] * devices, layout(pp=devices, schedule=schedule))[0])
        for schedule, steps in measured.items():
            best = statistics.median(whole) / devices * (1 + (devices - 1) * gaps(schedule) / LEAVES)
            print_row(f"bubble-{schedule}-{devices}", statistics.median(steps), best, 1.05, at_most=True)
        if alone:
            print_row(f"beside-{devices}", statistics.median(whole), statistics.median(alone), None, at_most=True)


def matrix(devices):
    for tp in (1, 2, 4):
        for dp in (1, 2, 4):
            if devices % (dp * tp):
                continue
            pp = devices // dp // tp
            for schedule in ("1f1b", "zero-bubble", "interleaved:2") if pp > 1 else ("1f1b",):
                yield layout(dp, pp, schedule, tp=tp)
    for zero_stage in (1, 2):
        yield layout(devices, zero_stage=zero_stage)
    yield layout(devices, 1, recompute="full")


def auto_row(bench, devices, speed, best):
    """Both again in turns, since a machine changes in the minutes that the matrix takes."""
    chosen, theirs = [], []
    for _ in range(3):
        measured, _, plan = bench.run([speed] * devices, "{mode: auto}")
        chosen.append(measured)
        theirs.append(bench.run([speed] * devices, best)[0])
    say(f"auto chose {plan['layout']}")
    print_row(f"auto-{devices}", 1 / statistics.median(chosen), 1 / statistics.median(theirs), 0.97, at_most=False)


def predict_rows(bench):
    errors = []
    for devices, speed in ((2, None), (4, PACED)):
        steps = []
        for parallelism in matrix(devices):
            measured, predicted, _ = bench.run([speed] * devices, parallelism)
            errors.append(abs(measured - predicted) / measured)
            steps.append(measured)
        auto_row(bench, devices, speed, list(matrix(devices))[steps.index(min(steps))])
    say("errors: " + ", ".join(f"{error:.3f}" for error in errors))
    print_row("predict", statistics.median(errors), None, 0.10, at_most=True)


def unequal_rows(bench):
    speeds = [6.0, 12.0, 24.0]
    step, _, plan = bench.run(speeds, layout(pp=3, schedule="zero-bubble"))
    say("layers " + str([a["lastLayer"] - a["firstLayer"] for a in plan["actors"] if a["kind"] == "layer shard"]))
    whole = bench.predicted([1.0], layout())
    print_row("unequal-sum", whole / step, sum(speeds), 0.9, at_most=False)
    uniform, _, _ = bench.run(speeds, layout(pp=3, schedule="zero-bubble", layers=[6, 5, 5]))
    print_row("unequal-uniform", 1 / step, 1 / uniform, 1.6, at_most=False)


def unequal_dp_rows(bench):
    speeds = [6.0, 18.0]
    step, _, _ = bench.run(speeds, layout(dp=2, micro_batches=[LEAVES // 4, LEAVES - LEAVES // 4]))
    whole = bench.predicted([1.0], layout())
    print_row("unequal-dp", whole / step, sum(speeds), 0.9, at_most=False)
    equal, _, _ = bench.run(speeds, layout(dp=2))
    print_row("unequal-dp-equal", 1 / step, 1 / equal, 1.3, at_most=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("bubble", "predict", "unequal", "unequal-dp"))
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atoll-parallel-") as folder:
        even = Bench(folder, options.steps, EVEN_BLOCKS, EVEN_WIDTH)
        if options.only in (None, "bubble"):
            bubble_rows(even)
        bench = Bench(folder, options.steps)
        if options.only in (None, "predict"):
            bench.measure_machine()
            predict_rows(bench)
        if options.only in (None, "unequal"):
            unequal_rows(bench)
        if options.only in (None, "unequal-dp"):
            unequal_dp_rows(bench)


if __name__ == "__main__":
    main()
