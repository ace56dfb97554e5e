"""What plain TCP gets from the lines that benches use, and what the emulator costs: one JSON line a row.

    python3 tests/cluster/wan/measure.py [--seconds 20] [--rows one-cubic,eight-cubic]

Run by hand on a quiet machine; ctest does not know it. The figures are those of this kernel's TCP.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import wan

LONG = dict(rate="50mbit", delay="50ms", loss="0.1%")
SHORT = dict(rate="100mbit", delay="10ms")
FAST = dict(rate="200mbit", delay="10ms")
FASTER = dict(rate="1gbit", delay="10ms")

# name -> line, flows, congestion control
ROWS = {
    "one-cubic": (LONG, 1, "cubic"),
    "eight-cubic": (LONG, 8, "cubic"),
    "one-bbr": (LONG, 1, "bbr"),
    "eight-bbr": (LONG, 8, "bbr"),
    "short-one-cubic": (SHORT, 1, "cubic"),
    "short-eight-cubic": (SHORT, 8, "cubic"),
    "fast-eight-cubic": (FAST, 8, "cubic"),
    "faster-eight-cubic": (FASTER, 8, "cubic"),
}


def flow_row(name, seconds):
    line, flows, congestion = ROWS[name]
    with wan.Sides(**line) as rig:
        before = rig.line.stats()
        result = wan.flows(rig.a, rig.b, flows, congestion, seconds, skip=3)
        after = rig.line.stats()
        unread = rig.line.unread()
    share = result["goodput_mbit"] * 1e6 / after["ab"]["rate_bits"]
    cores = (after["cpu_seconds"] - before["cpu_seconds"]) / (after["seconds"] - before["seconds"])
    kept = {key: result[key] for key in ("flows", "congestion", "seconds", "goodput_mbit", "least_rtt_ms",
                                         "segments_sent", "segments_retransmitted")}
    counts = {key: after["ab"][key] for key in ("accepted", "lost", "queue_dropped", "memory_dropped", "refused")}
    return {"row": name, "line": line, **kept, "share_of_rate": share, "emulator_cores": cores, **counts, "unread": unread}


def loss_row():
    """100,000 datagrams one way with 0.1 % loss, counted by the receiver's echoes, not by the emulator."""
    with wan.Sides(rate="1gbit", delay="5ms", loss_ab="0.1%", queue="4MB") as rig:
        result = wan.probe(rig.a, rig.b, 100_000, "50us", wait="1s")
        stats = rig.line.stats()
    return {"row": "loss", **result, "lost_by_count": stats["ab"]["lost"], "accepted": stats["ab"]["accepted"],
            "cpu_seconds": stats["cpu_seconds"], "seconds": stats["seconds"]}


def idle_row():
    with wan.Sides(**LONG) as rig:
        before = rig.line.stats()
        result = wan.probe(rig.a, rig.b, 200, "10ms")
        after = rig.line.stats()
    return {"row": "idle", "line": LONG, **result, "cpu_seconds": after["cpu_seconds"] - before["cpu_seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rows", default=",".join(["idle", "loss", *ROWS]))
    options = parser.parse_args()
    wan.require()
    for name in options.rows.split(","):
        others = {"idle": idle_row, "loss": loss_row}
        row = others[name]() if name in others else flow_row(name, options.seconds)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
