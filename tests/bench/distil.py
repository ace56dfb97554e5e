#!/usr/bin/env python3
"""A translator with teachers of its two languages against the same one without, at equal steps, and what crosses the border.

usage: distil.py [--seeds 1,2,3] [--steps 500] [--language-steps 700] [--weights ES,EN] [--work build/distil] [--limit N]

Needs scripts/build and the packages of scripts/parallel-text. Data and teachers are made once and kept in --work, as is every run that has
ended. Prints a JSON line a run, and at the end the row: chrF with and without teachers of each seed, the difference, and the bytes of
answers over those of fp32 logits. Data, sizes and settings are those of configs/jobs/distil.yaml; --limit translates fewer lines.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATOLL = ROOT / "build/release/bin/atoll"
LANGUAGES = {"en": "english", "es": "spanish"}


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = options.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)

    def atoll(self, *arguments):
        done = subprocess.run([ATOLL, *map(str, arguments)], cwd=self.work, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"atoll {' '.join(map(str, arguments))}: {done.stderr.strip().splitlines()[-1]}")
        return done.stdout

    def descriptor(self, name, to=None, steps=None, **more):
        """A descriptor of configs/jobs, changed, in the work folder."""
        text = (ROOT / f"configs/jobs/{name}.yaml").read_text()
        text = text.replace("../topologies/three-datacenters.yaml", str(ROOT / "configs/topologies/three-datacenters.yaml"))
        if steps is not None:
            text = re.sub(r"training: {steps: \d+", f"training: {{steps: {steps}, seed: {more.get('seed', 1)}", text)
            text = re.sub(r"warmupSteps: \d+", f"warmupSteps: {min(30, steps // 4)}", text)
            text = re.sub(r"every: \d+", "every: 0", text)
        for teacher, weight in more.get("weights", {}).items():
            line = re.search(rf"^ *- {{job: teacher-{teacher}, weight: [\d.]+.*\n", text, re.M)[0]
            text = text.replace(line, re.sub(r"weight: [\d.]+", f"weight: {weight}", line) if weight > 0 else "")
        if not more.get("taught", True):
            text = text[:text.index("  distillation:")]
        path = self.work / f"{to or name}.yaml"
        path.write_text(text)
        return path

    def prepare(self):
        if not (self.work / "data/verses/test.es").exists():
            subprocess.run([ROOT / "scripts/parallel-text", "data/verses"], cwd=self.work, check=True, stdout=subprocess.DEVNULL)
        if not (self.work / "data/en-es").exists():
            self.atoll("data", "prepare", "data/verses", "data/en-es", "--pairs", "en-es", "--window", 256, "--tokenizer",
                       "train:4096")
        for code, language in LANGUAGES.items():
            if not (self.work / f"data/{code}").exists():
                self.atoll("data", "prepare", f"data/verses/{code}.marked.txt", f"data/{code}", "--tokenizer",
                           "data/en-es/tokenizer.json")
            run = f"runs/language-{language}"
            if not (self.work / run / "summary.json").exists():
                descriptor = self.descriptor(f"language-{language}", steps=self.options.language_steps)
                self.atoll("run", descriptor, "--run-dir", run, "--json")

    def student(self, seed, taught):
        """The run's scores, and the bytes of answers and of logits."""
        name = f"{'taught' if taught else 'alone'}-{seed}-{self.options.steps}"
        if taught:
            name += f"-{self.options.weights}"

        weights = dict(zip(("spanish", "english"), map(float, self.options.weights.split(","))))
        job = self.descriptor("distil", name, self.options.steps, seed=seed, taught=taught, weights=weights)
        teachers = [self.descriptor(f"teacher-{language}") for language in LANGUAGES.values()] if taught else []
        run = self.work / "runs" / name
        own = run / "distil" if taught else run
        if not (own / "summary.json").exists():
            self.atoll("run", *teachers, job, "--run-dir", run, "--json")
        limit = ["--limit", self.options.limit] if self.options.limit else []
        scores = json.loads(self.atoll("evaluate", own, "--translate", "data/verses/test.en", "--references",
                                       "data/verses/test.es", "--json", *limit))
        steps = [json.loads(line) for line in (own / "metrics.jsonl").read_text().splitlines()]
        losses = [line for line in steps if "loss" in line]
        row = {"seed": seed, "teachers": taught, "chrf": round(scores["chrf"], 2), "bleu": round(scores["bleu"], 2),
               "val_loss": round([line for line in steps if "validation_loss" in line][-1]["validation_loss"], 3),
               "steps": losses[-1]["step"], "seconds": round(steps[-1]["seconds"], 1)}
        if taught:
            served = [json.loads((run / f"teacher-{language}/summary.json").read_text())["served"]
                      for language in LANGUAGES.values()]
            row["taught"] = sum(line["taught"] for line in losses) / len(losses)
            row["answer_bytes"] = sum(one.get("answer_bytes", 0) for one in served)
            row["logits_bytes"] = sum(one.get("logits_bytes", 0) for one in served)
        print(json.dumps(row), flush=True)
        return row


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", default="1,2,3")
    options.add_argument("--steps", type=int, default=500)
    options.add_argument("--language-steps", type=int, default=700)
    options.add_argument("--weights", default="0.5,0.2", help="of the Spanish and the English teacher")
    options.add_argument("--work", type=pathlib.Path, default=ROOT / "build/distil")
    options.add_argument("--limit", type=int, default=0)
    bench = Bench(options.parse_args())
    bench.prepare()
    rows = {}
    for seed in map(int, bench.options.seeds.split(",")):
        alone, taught = bench.student(seed, False), bench.student(seed, True)
        rows[seed] = {"alone": alone["chrf"], "taught": taught["chrf"], "gain": round(taught["chrf"] - alone["chrf"], 2),
                      "answers_over_fp32_logits": round(taught["answer_bytes"] / taught["logits_bytes"], 5)}
    print(json.dumps({"row": "distilled translation against none at equal steps", "chrf": rows,
                      "better_on_all": all(row["gain"] > 0 for row in rows.values())}))


main()
