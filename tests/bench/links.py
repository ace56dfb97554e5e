"""The sealed channel on long lines against plain TCP flows on the same line: one JSON line a row.

    python3 tests/bench/links.py [--rounds 3] [--seconds 20] [--rows long-goodput,...]

Both sides take turns on one line of the emulator (tests/cluster/wan); the median of the rounds counts, and stderr has
each round. Needs root, as the emulator does. Run it on a quiet machine.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/cluster/wan"), str(ROOT / "tests/cluster")]
import wan
from long_line import LinkCluster

LONG = dict(rate="50mbit", delay="50ms", loss="0.1%")
# The queue that most routers have at least; the round trip under load is held against it.
LONG_HALF_QUEUE = dict(rate="50mbit", delay="50ms", queue="312500B")
SHORT = dict(rate="100mbit", delay="10ms")


def say(text):
    print(text, file=sys.stderr, flush=True)


def row(name, ours, theirs, target, at_least=True):
    ratio = ours / theirs
    holds = ratio >= target if at_least else ratio <= target
    figures = {"ours": ours, "theirs": theirs, "ratio": ratio}
    print(json.dumps({"row": name, **{k: round(v, 4) for k, v in figures.items()}, "target": target, "holds": holds}),
          flush=True)


def long_goodput(options):
    """Eight streams with cubic against eight plain flows and against one, on a line that loses packets."""
    ours, eight, one = [], [], []
    with wan.Sides(**LONG) as rig, tempfile.TemporaryDirectory() as folder:
        with LinkCluster(rig.a, rig.b, folder) as cluster:
            for _ in range(options.rounds):
                eight.append(wan.flows(rig.a, rig.b, 8, "cubic", options.seconds, skip=3)["goodput_mbit"])
                report = cluster.test(8, options.seconds, "cubic")
                ours.append(report["rate"] / 1e6)
                one.append(wan.flows(rig.a, rig.b, 1, "cubic", options.seconds, skip=3)["goodput_mbit"])
                say(f"goodput, Mbit/s: ours {ours[-1]:.2f}, eight flows {eight[-1]:.2f}, one {one[-1]:.2f}")
    row("long-line-against-eight-flows", statistics.median(ours), statistics.median(eight), 0.97)
    row("long-line-against-one-flow", statistics.median(ours), statistics.median(one), 4)


def short_goodput(options):
    """Against the rate of a line without losses."""
    ours = []
    with wan.Sides(**SHORT) as rig, tempfile.TemporaryDirectory() as folder:
        with LinkCluster(rig.a, rig.b, folder) as cluster:
            for _ in range(options.rounds):
                ours.append(cluster.test(8, options.seconds)["rate"] / 1e6)
                say(f"goodput, Mbit/s: {ours[-1]:.2f}")
    row("short-line-against-its-rate", statistics.median(ours), 100, 0.93)


def control(options):
    """A control message while the line is full, less what waits in the router's queue, against the idle line."""
    loaded, idle = [], []
    with wan.Sides(**LONG_HALF_QUEUE) as rig, tempfile.TemporaryDirectory() as folder:
        with LinkCluster(rig.a, rig.b, folder) as cluster:
            for _ in range(options.rounds):
                report = cluster.test(8, options.seconds, "cubic")
                queue = 1000 * 312_500 * 8 / 50e6
                idle.append(report["round_trip_ms"])
                loaded.append(report["trials"][0]["round_trip_ms"] - queue)
                say(f"round trip, ms: idle {idle[-1]:.2f}, loaded {loaded[-1] + queue:.2f} with a queue of up to {queue:.1f}")
    row("control-beside-bulk", statistics.median(loaded), statistics.median(idle), 1.5, at_least=False)


ROWS = {"long-goodput": long_goodput, "short-goodput": short_goodput, "control": control}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20, help="of load, for each side in each round")
    parser.add_argument("--rows", default=",".join(ROWS), help="which to measure")
    options = parser.parse_args()
    wan.require()
    for name in options.rows.split(","):
        ROWS[name](options)


if __name__ == "__main__":
    main()
