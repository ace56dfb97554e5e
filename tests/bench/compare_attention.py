"""Fused attention against PyTorch's, forward and backward: its composition of ops, and its own fused kernel.

The composition runs as PyTorch does it and compiled, with every allocator; the fastest of these is what ours is held
against. Sides take turns. One JSON line a row; exits 0 if every row holds, 2 if one does not, 1 if it could not measure.
"""

import argparse
import json
import pathlib
import statistics
import sys

import peer
import runner

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_S = 300
# Row, PyTorch's forms that compete in it, and what ours must reach.
ROWS = [("attention-composition", ("composition", "compiled"), 3.0), ("attention-fused", ("fused",), 1.0)]


def ours(options):
    """Turns a second of `atoll bench attention`."""
    command = [options.atoll, "bench", "attention", "--json", "--threads", str(options.threads)]
    output, _ = runner.run_once(command, runner.distinct_cores(options.threads), {}, LIMIT_S)
    return next(row["ours"] for row in map(json.loads, output.splitlines()) if row["row"] == "attention-per-second")


def theirs(form, allocator, options):
    """Turns a second of PyTorch."""
    cpus = runner.distinct_cores(options.threads)
    command = [str(peer.HOME / "bin/python"), str(ROOT / "tests/bench/torch_attention.py"), "--form", form,
               "--threads", str(options.threads)]
    settings = peer.Settings(options.threads, "fp32", allocator=allocator)
    output, _ = runner.run_once(command, cpus, settings.environment(cpus), LIMIT_S)
    return json.loads(output.splitlines()[-1])


def row(name, forms, target, options):
    """Finds PyTorch's best settings, then takes turns with them."""
    trials = {(form, allocator): theirs(form, allocator, options)["per_second"]
              for form in forms for allocator in peer.ALLOCATORS}
    best = max(trials, key=trials.get)
    for settings, speed in trials.items():
        runner.say(f"{name}: {', '.join(settings)}: {1e3 / speed:.1f} ms")
    left, right = [], []
    for _ in range(options.rounds):
        left.append(ours(options))
        right.append(theirs(*best, options))
    middle = statistics.median(left)
    other = statistics.median(answer["per_second"] for answer in right)
    return {"row": f"{name}-{options.threads}t", "ours": middle, "theirs": other, "ratio": round(middle / other, 3),
            "target": target, "holds": middle >= target * other, "unit": "forward and backward a second",
            "ours_spread": max(left) - min(left), "peer_settings": ", ".join(best), "torch": right[-1]["torch"]}


def main():
    parser = argparse.ArgumentParser(description="Compares fused attention with PyTorch's; prints one JSON line a row.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default: 5)")
    parser.add_argument("--atoll", default=str(ROOT / "build/release/bin/atoll"), help="our program")
    options = parser.parse_args()
    held = True
    try:
        for each in ROWS:
            line = row(*each, options)
            held = held and line["holds"]
            print(json.dumps(line), flush=True)
    except runner.Failed as failure:
        sys.exit(f"compare_attention: {failure}")
    sys.exit(0 if held else 2)


if __name__ == "__main__":
    main()
