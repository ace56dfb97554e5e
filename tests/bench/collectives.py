"""All-reduce between processes of one machine against gloo: one JSON line a row.

    python3 tests/bench/collectives.py [--rounds 5] [--repeats 10]

gloo runs the fastest of its algorithms for the row, found by a trial; then both take turns. A time is the slowest member's, from
a common start; the median of the rounds counts, and stderr has their spread.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

BIN = pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"
GLOO = ("ring", "bcube", "ring-chunked", "halving-doubling")
ROWS = [(world, mib) for world in (2, 4) for mib in (4, 64)]
TARGET = 1.3


def say(text):
    print(text, file=sys.stderr, flush=True)


def seconds(program, world, mib, repeats, *options):
    """The median time of one all-reduce; infinite where the program fails, with what it said."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        done = subprocess.run([BIN / program, "--folder", folder, "--world", str(world), "--mib", str(mib), "--rounds",
                               str(repeats), *options], capture_output=True, text=True)
    if done.returncode != 0:
        say(f"{program} {' '.join(options)}: {done.stderr.strip().splitlines()[-1]}")
        return float("inf")
    return statistics.median(json.loads(done.stdout)["seconds"])


def row(world, mib, options):
    trials = {name: seconds("all_reduce_gloo", world, mib, options.repeats, "--algorithm", name) for name in GLOO}
    best = min(trials, key=trials.get)
    say(f"{world} processes, {mib} MiB: gloo is fastest with {best}")
    ours, theirs = [], []
    for _ in range(options.rounds):
        theirs.append(seconds("all_reduce_gloo", world, mib, options.repeats, "--algorithm", best))
        ours.append(seconds("all_reduce_shared_memory", world, mib, options.repeats))
    say(f"  ms: ours {1e3 * min(ours):.2f} to {1e3 * max(ours):.2f}, gloo {1e3 * min(theirs):.2f} to {1e3 * max(theirs):.2f}")
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(json.dumps({"row": f"all-reduce-{mib}-mib-{world}-processes", "ours": round(statistics.median(ours), 6),
                      "theirs": round(statistics.median(theirs), 6), "ratio": round(ratio, 3), "target": TARGET,
                      "holds": ratio >= TARGET}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10, help="all-reduces of one run")
    options = parser.parse_args()
    for world, mib in ROWS:
        row(world, mib, options)


if __name__ == "__main__":
    main()
