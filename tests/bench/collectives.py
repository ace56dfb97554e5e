"""All-reduce, one JSON line a row: between processes of one machine against gloo, and between two datacenters a hierarchy against
flat rings on the same line of the emulator (tests/cluster/wan), which needs root.

    python3 tests/bench/collectives.py [--rounds 5] [--repeats 10] [--only machine|line]

gloo runs the fastest of its algorithms for the row, found by a trial; then both take turns. A time is the slowest member's, from
a common start; the median of the rounds counts, and stderr has their spread.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build/release/bin"
sys.path.insert(0, str(ROOT / "tests/cluster/wan"))
import wan

GLOO = ("ring", "bcube", "ring-chunked", "halving-doubling")
ROWS = [(world, mib) for world in (2, 4) for mib in (4, 64)]
TARGET = 1.3
# 8 MiB between two datacenters of two: what crosses each way, of N = 8 MiB, and what that shall cost beside N.
LINE = dict(rate="50mbit", delay="10ms")
HIERARCHY = "hierarchical1:0,1/2,3"  # N, through one gate, as all_reduce_choices() does on such a line
RINGS = {"all-reduce-hierarchy-against-ring": ("ring:0,1,2,3", 1.4),  # 1.5 N
         "all-reduce-hierarchy-against-alternating-ring": ("ring:0,2,1,3", 2.7)}  # 3 N


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
        theirs.append(next(finite(lambda: seconds("all_reduce_gloo", world, mib, options.repeats, "--algorithm", best)), math.inf))
        ours.append(seconds("all_reduce_shared_memory", world, mib, options.repeats))
    say(f"  ms: ours {1e3 * min(ours):.2f} to {1e3 * max(ours):.2f}, gloo {1e3 * min(theirs):.2f} to {1e3 * max(theirs):.2f}")
    print_row(f"all-reduce-{mib}-mib-{world}-processes", ours, theirs, TARGET)


def finite(trial, most=5):
    """What a trial gives where it does not fail, as gloo's rendezvous does now and then."""
    return filter(math.isfinite, (trial() for _ in range(most)))


def print_row(name, ours, theirs, target):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    if not math.isfinite(theirs):  # nothing to hold ours against
        print(json.dumps({"row": name, "ours": round(ours, 6), "theirs": None, "ratio": None, "target": target, "holds": False}), flush=True)
        return
    print(json.dumps({"row": name, "ours": round(ours, 6), "theirs": round(theirs, 6), "ratio": round(theirs / ours, 3),
                      "target": target, "holds": theirs / ours >= target}), flush=True)


def over_the_line(nodes, algorithm):
    """The seconds of two all-reduces, each as long as its slowest rank took."""
    hosts = ",".join(node.address for node in nodes)
    ranks = [node.start([BIN / "all_reduce_links", "--rank", rank, "--hosts", hosts, "--algorithm", algorithm, "--rounds", 2],
                        stdout=subprocess.PIPE, text=True) for rank, node in enumerate(nodes)]
    answers = [json.loads(rank.communicate(timeout=60)[0])["seconds"] for rank in ranks]
    return [max(seconds) for seconds in zip(*answers)]


def line_rows(options):
    taken = {algorithm: [] for algorithm in (HIERARCHY, *(ring for ring, _ in RINGS.values()))}
    with wan.Datacenters(2, 2, **LINE) as rig:
        nodes = [node for datacenter in rig.nodes for node in datacenter]
        for _ in range(options.rounds):
            for algorithm, seconds in taken.items():
                seconds += over_the_line(nodes, algorithm)
    for algorithm, seconds in taken.items():
        say(f"{algorithm}: {min(seconds):.3f} to {max(seconds):.3f} s")
    for name, (ring, target) in RINGS.items():
        print_row(name, taken[HIERARCHY], taken[ring], target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10, help="all-reduces of one run")
    parser.add_argument("--only", choices=("machine", "line"))
    options = parser.parse_args()
    if options.only != "line":
        for world, mib in ROWS:
            row(world, mib, options)
    if options.only != "machine":
        wan.require()
        line_rows(options)


if __name__ == "__main__":
    main()
