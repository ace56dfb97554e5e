"""What the cluster tests share: a small data set, descriptors, and runs of the atoll binary."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest

ATOLL = os.environ["ATOLL"]

TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: test}}
spec:
  datacenters:
{datacenters}
  lines: [{lines}]
"""

JOB = """apiVersion: atoll.dev/v1
kind: TrainingJob
metadata: {{name: test}}
spec:
  topology: {topology}
  model: {{{family}{model}}}
  data: {{path: {data}{loader}}}
  optimizer: {{name: adamw, learningRate: 3e-3, minimumLearningRate: 3e-4, warmupSteps: 3, clipNorm: {clip}}}
  training: {{steps: {steps}, seed: 7, leaves: 8, sequencesPerLeaf: 1, context: 32{training}}}
  evaluation: {{every: {evaluate}, rounds: 2}}
  checkpoints: {{every: {snapshot}, keep: 3{resume}}}
  parallelism: {{dp: {dp}, pp: {pp}, tp: {tp}, cp: {cp}, schedule: "{schedule}", recompute: {recompute}, zero_stage: {zero}{more}}}
  codecs: {{activations: {activations}, gradients: {gradients}, weights: {weights}}}
  peerTimeout: 3s
"""

GPT2 = "type: gpt2, vocab_size: 256, n_positions: 32, n_embd: 48, n_layer: 4, n_head: 4"
LLAMA = ("type: llama, vocab_size: 256, max_position_embeddings: 32, hidden_size: 48, intermediate_size: 104, "
         "num_hidden_layers: 4, num_attention_heads: 4, num_key_value_heads: 2")

DEFAULTS = dict(family=GPT2, model="", loader="", training="", clip=1.0, steps=20, evaluate=10, snapshot=10, resume="", dp=1,
                pp=1, tp=1, cp=1, weights="none", schedule="1f1b", recompute="none", zero=0, more="")


def make_text(path, chapters=120):
    """English-like text in chapters, always the same."""
    draw = random.Random(1)
    words = ["".join(draw.choice("etaoinshrdlu") for _ in range(draw.randint(2, 8))) for _ in range(300)]
    lines = []
    for chapter in range(chapters):
        lines.append(f"# Chapter {chapter + 1}")
        lines += [" ".join(draw.choice(words) for _ in range(12)) + "." for _ in range(12)]
    path.write_text("\n".join(lines) + "\n")


def make_pairs(folder):
    """Lines of one or two words and their translations, word by word, always the same."""
    draw = random.Random(2)
    english = ["sea", "land", "light", "tree", "king", "house", "bread", "night", "stone", "voice"]
    spanish = ["mar", "tierra", "luz", "árbol", "rey", "casa", "pan", "noche", "piedra", "voz"]
    folder.mkdir()
    for split, lines in (("train", 2000), ("validation", 100), ("test", 40)):
        drawn = [[draw.randrange(len(english)) for _ in range(draw.randint(1, 2))] for _ in range(lines)]
        for language, words in (("en", english), ("es", spanish)):
            (folder / f"{split}.{language}").write_text(
                "".join(" ".join(words[i] for i in line) + "\n" for line in drawn), encoding="utf-8")


class ClusterTest(unittest.TestCase):
    """Each class has a folder with prepared data; each run a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="atoll-test-"))
        os.environ["ATOLL_CACHE"] = str(cls.root / "cache")  # what nodes measure is not the user's
        make_text(cls.root / "text.txt")
        subprocess.run([ATOLL, "data", "prepare", cls.root / "text.txt", cls.root / "data"], check=True,
                       stdout=subprocess.DEVNULL)
        cls.runs = 0

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root, ignore_errors=True)

    def topology(self, nodes):
        """Nodes spread over one datacenter, or two when there are at least two nodes."""
        names = ["east"] if nodes == 1 else ["east", "west"]
        datacenters = []
        for i, name in enumerate(names):
            members = [f"{{name: {name}-{k}, memory: 1GiB, threads: 1}}" for k in range(nodes // len(names))]
            datacenters.append(f"    - {{name: {name}, nodes: [{', '.join(members)}]}}")
        lines = "" if nodes == 1 else "{between: [east, west], rate: 1Gbit/s, roundTrip: 1ms}"
        path = self.root / f"topology-{nodes}.yaml"
        path.write_text(TOPOLOGY.format(datacenters="\n".join(datacenters), lines=lines))
        return path

    def job(self, nodes=1, **fields):
        type(self).runs += 1
        path = self.root / f"job-{self.runs}.yaml"
        fields = {"activations": fields.get("codec", "none"), "gradients": fields.get("codec", "none"), **fields}
        values = {**DEFAULTS, **fields, "topology": self.topology(nodes), "data": self.root / "data"}
        path.write_text(JOB.format(**values))
        return path

    def command(self, job, *options):
        folder = self.root / f"run-{self.runs}"
        return [ATOLL, "run", str(job), "--json", "--run-dir", str(folder), *options], folder

    def run_job(self, job, *options, timeout=120):
        """Runs to the end; returns (exit status, summary or None, stderr, run folder)."""
        command, folder = self.command(job, *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        lines = done.stdout.strip().splitlines()
        return done.returncode, json.loads(lines[-1]) if lines else None, done.stderr, folder

    def metrics(self, folder):
        return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def losses(self, folder):
        """The exact losses, norms and validation losses, in order."""
        keys = ("step", "loss", "gradient_norm", "validation_loss")
        return [{key: line[key] for key in keys if key in line} for line in self.metrics(folder)]
