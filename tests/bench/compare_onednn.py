"""Atoll's matrix products against the faster of oneDNN's two calls: what `gemm_bench` measures, as rows.

The turns are shuffled, so that whatever else the machine does falls on all sides alike. One JSON line a shape on
stdout; exits 0 if every row holds, 2 if one does not, 1 if it could not measure.
"""

import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = 0.95
OURS, PEERS = "ours", ("onednn_sgemm", "onednn_primitive")


def measure(options):
    """FLOP/s of every repetition, by (shape, threads) and then by who."""
    # Names are shape/who/threads:N/real_time.
    chosen = "|".join(options.shapes) if options.shapes else "[^/]+"
    command = [options.bench, f"--benchmark_filter=^({chosen})/[^/]+/threads:{options.threads}/",
               f"--benchmark_repetitions={options.rounds}", f"--benchmark_min_time={options.seconds}",
               "--benchmark_enable_random_interleaving=true", "--benchmark_format=json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        sys.exit(f"compare_onednn: {options.bench} is not there; build it with scripts/build")
    except subprocess.CalledProcessError as failure:
        sys.exit(f"compare_onednn: {options.bench}: {failure.stderr.strip()}")
    speeds = collections.defaultdict(lambda: collections.defaultdict(list))
    runs = sorted(json.loads(done.stdout)["benchmarks"], key=lambda run: run["family_index"])
    for run in runs:
        if run["run_type"] == "iteration":
            shape, who, _ = run["run_name"].split("/", 2)
            speeds[shape][who].append(run["FLOP/s"])
    if not speeds:
        sys.exit("compare_onednn: no shape of that name; see kCases of gemm_bench.cc")
    return speeds


def row(shape, speeds, threads):
    """The finished row of one shape."""
    medians = {who: statistics.median(values) for who, values in speeds.items()}
    peer = max(PEERS, key=medians.get)
    ours = medians[OURS]
    ratio = ours / medians[peer]
    deviation = statistics.median(abs(value - ours) for value in speeds[OURS])
    return {"row": f"matmul-{shape}-{threads}t", "ours": ours, "theirs": medians[peer], "ratio": round(ratio, 3),
            "target": TARGET, "holds": ratio >= TARGET, "unit": "FLOP/s", "ours_mad": deviation, "peer": peer}


def main():
    parser = argparse.ArgumentParser(description="Compares the matrix products of Atoll with oneDNN's.")
    parser.add_argument("--shapes", nargs="+", metavar="SHAPE", help="only these (default: all of gemm_bench)")
    parser.add_argument("--threads", type=int, choices=(1, 2), default=1)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn (default: 0.1)")
    parser.add_argument("--bench", default=str(ROOT / "build/release/bin/gemm_bench"), help="the program")
    options = parser.parse_args()
    rows = [row(shape, speeds, options.threads) for shape, speeds in measure(options).items()]
    for line in rows:
        print(json.dumps(line))
    sys.exit(0 if all(line["holds"] for line in rows) else 2)


if __name__ == "__main__":
    main()
