"""Atoll's training step against PyTorch's, in PyTorch's best configuration. README.md beside this file says how.

One JSON line a row on stdout, progress on stderr. Exits 0 if every row holds, 2 if one does not, 1 if it could not
measure.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import statistics
import sys

import runner
from peer import Peer, added_memory

ROOT = pathlib.Path(__file__).resolve().parents[2]
OURS_LIMIT_S = 600
ROOFLINE = 0.9


@dataclasses.dataclass(frozen=True)
class Row:
    """What is compared and what is asked of it."""

    name: str
    precision: str
    threads: int
    target: float
    memory: bool = False
    # Also holds where ours runs this close to the machine's own limit, which no peer could beat by much.
    roofline: bool = False


def rows(threads):
    """All rows; `threads` is that of the many-threaded ones."""
    return [
        Row("step-bf16-1t", "bf16", 1, 1.5),
        Row("step-fp32-1t", "fp32", 1, 1.2, roofline=True),
        Row(f"step-fp32-{threads}t", "fp32", threads, 1.3),
        Row(f"step-bf16-{threads}t", "bf16", threads, 1.3),
        Row("step-memory", "fp32", 1, 0.7, memory=True),
    ]


class Ours:
    """Runs `atoll bench step`."""

    FIELDS = ("tokens_per_second_all", "loss", "peak_rss_bytes", "standing_rss_bytes", "flops", "roofline_fraction")

    def __init__(self, atoll, lock):
        self._atoll, self._lock = atoll, lock

    def run(self, row, steps, attempts=runner.ATTEMPTS):
        """One process, `steps` timed steps."""
        command = [self._atoll, "bench", "step", "--json", "--precision", row.precision,
                   "--threads", str(row.threads), "--steps", str(steps)]
        try:
            answer = runner.run(command, runner.distinct_cores(row.threads), None, OURS_LIMIT_S, self._lock,
                                attempts)
        except runner.Failed as failure:
            raise runner.Failed(f"cannot run `{' '.join(command)}`: {failure}") from failure
        missing = [field for field in self.FIELDS if field not in answer]
        if missing:
            raise runner.Failed(f"`{' '.join(command)}` printed no {', '.join(missing)}")
        return answer


def processor():
    """The processor's name, and whether it multiplies bf16 matrices in tiles."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    return {"processor": name[1] if name else "unknown", "amx_bf16": bool(flags) and "amx_bf16" in flags[1].split()}


def spread(values):
    """Median, and median absolute deviation from it."""
    middle = statistics.median(values)
    return middle, statistics.median(abs(value - middle) for value in values)


def samples(row, answers):
    """What the row compares: every timed step of every round, or the added memory of every round."""
    if row.memory:
        return [added_memory(answer) for answer in answers]
    return [speed for answer in answers for speed in answer["tokens_per_second_all"]]


def verdict(row, ratio, roofline_fraction):
    """Whether the row holds, and by which of its conditions."""
    reached = ratio <= row.target if row.memory else ratio >= row.target
    by = ["ratio"] if reached else []
    if row.roofline and roofline_fraction >= ROOFLINE:
        by.append("roofline_fraction")
    return {"holds": bool(by), "holds_by": by}


def side(prefix, row, answers):
    """The fields of one side."""
    middle, deviation = spread(samples(row, answers))
    return {
        prefix: middle,
        f"{prefix}_mad": deviation,
        f"{prefix}_loss": answers[-1]["loss"],
        f"{prefix}_others_cpu": max(answer["others_cpu"] for answer in answers),
    }


def peer_fields(settings, why, answer):
    """What the peer was, so that the figure can be had again."""
    return {
        "peer_settings": str(settings),
        "peer_settings_why": why,
        **{f"peer_{key}": answer[key] for key in ("torch", "build", "cpu_capability", "runtimes", "environment")},
        "peer_high_water_reset": answer["high_water_reset"],
    }


def compare(row, ours, peer, options):
    """Takes turns with the peer; the finished row."""
    settings, why = best_settings(row, peer)
    our_answers, their_answers = [], []
    for index in range(options.rounds):
        our_answers.append(ours.run(row, options.steps))
        their_answers.append(peer.run(settings, options.steps))
        runner.say(f"{row.name}, round {index + 1}: " + ", ".join(
            f"{who} {answers[-1]['tokens_per_second']:.0f} tokens/s, {added_memory(answers[-1]) / 2**20:.0f} MiB"
            for who, answers in (("ours", our_answers), ("theirs", their_answers))))
    left, right = side("ours", row, our_answers), side("theirs", row, their_answers)
    roofline_fraction = statistics.median(answer["roofline_fraction"] for answer in our_answers)
    ratio = left["ours"] / right["theirs"]
    return {
        "row": row.name, "ours": left["ours"], "theirs": right["theirs"], "ratio": ratio, "target": row.target,
        **verdict(row, ratio, roofline_fraction),
        "unit": "bytes" if row.memory else "tokens/s",
        "roofline_fraction": roofline_fraction, "flops": our_answers[-1]["flops"],
        **left, **right, **processor(), "rounds": options.rounds, "steps": options.steps,
        **peer_fields(settings, why, their_answers[-1]),
    }


def peer_alone(row, peer, options):
    """The peer's half of a row."""
    settings, why = best_settings(row, peer)
    answers = [peer.run(settings, options.steps) for _ in range(options.rounds)]
    return {
        "row": row.name, **side("theirs", row, answers), "unit": "bytes" if row.memory else "tokens/s",
        **processor(), "rounds": options.rounds, "steps": options.steps, **peer_fields(settings, why, answers[-1]),
    }


def best_settings(row, peer):
    """The peer at its best for this row, and why."""
    choice = peer.smallest if row.memory else peer.fastest
    settings, why = choice(row.precision, row.threads)
    runner.say(f"{row.name}: PyTorch runs with {settings} ({why})")
    return settings, why


def arguments():
    parser = argparse.ArgumentParser(
        description="Compares the training step of Atoll with PyTorch's, taking turns; prints one JSON line a row.")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (default: 3)")
    parser.add_argument("--steps", type=int, default=8, help="timed steps of a turn (default: 8)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the many-threaded rows (default: 2)")
    parser.add_argument("--atoll", default=str(ROOT / "build/release/bin/atoll"), help="our program")
    parser.add_argument("--peer-only", action="store_true", help="measure PyTorch alone")
    parser.add_argument("--lock", metavar="FILE", help="hold this file's lock during each run, if others measure too")
    options = parser.parse_args()
    known = {row.name: row for row in rows(options.threads)}
    unknown = sorted(set(options.rows or []) - set(known))
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(known)}")
    options.chosen = [known[name] for name in options.rows or known]
    return options


def report(options):
    """Prints every row as it is done; whether all hold."""
    peer = Peer(options.lock)
    ours = Ours(options.atoll, options.lock)
    if not options.peer_only:
        # Before minutes of trials: a binary without the command is found out here.
        ours.run(options.chosen[0], steps=1, attempts=1)
    held = True
    for row in options.chosen:
        line = peer_alone(row, peer, options) if options.peer_only else compare(row, ours, peer, options)
        held = held and line.get("holds", True)
        print(json.dumps(line), flush=True)
    return held


def main():
    options = arguments()
    try:
        held = report(options)
    except runner.Failed as failure:
        print(f"compare_torch: {failure}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if held else 2)


if __name__ == "__main__":
    main()
