"""10,000 hostile connections at a running job: what they cost in memory and in time. One JSON line a row.

    python3 tests/bench/flood.py [--connections 10000] [--seconds 20] [--rounds 3]

Runs the quickstart's job and, in turns, lets it be or floods the ports of its scheduler and nodes from 250 addresses of
the loopback: connections that stay silent, talk garbage, or begin as our own would and stop. They are opened within the
first half of a turn and held to its end. Strangers bring their own processors: the flood runs at the lowest priority, and says
what it used. Memory is the most that all processes of the cluster hold together, less the most of the calm turn before.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATOLL = ROOT / "build/release/bin/atoll"
JOB = ROOT / "configs/jobs/quickstart.yaml"
# What our own dialler says first: magic, version 1, ChaChaPoly, to a node, stream 0; then an ephemeral key and a tag.
OPENING = b"\x00\x3d" + b"atoll/1" + b"\x01\x00\x01\x03\x00\x00"
MIB = 1 << 20
TICK = 0.1


def say(text):
    print(text, file=sys.stderr, flush=True)


def hostile_bytes(kind, rng):
    if kind == 0:
        return b""
    return rng.randbytes(100) if kind == 1 else OPENING + rng.randbytes(48)


def listening_ports(pids):
    """Ports on which these processes listen, by their open sockets."""
    inodes = set()
    for pid in pids:
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(fd)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(r[1].split(":")[1], 16) for r in rows if r[3] == "0A" and r[9] in inodes]


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pids):
    return sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * 4096


def steps(metrics):
    """(seconds since the start, step) of the training rounds so far."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines() if line.endswith("}")]
    return [(line["seconds"], line["step"]) for line in lines if "loss" in line]


class Flood:
    def __init__(self, ports, count, seed):
        self.ports, self.count, self.rng = ports, count, random.Random(seed)
        self.open, self.made, self.poll = {}, 0, select.epoll()

    def connect(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.bind((f"127.0.0.{2 + self.made % 250}", 0))
        s.connect(("127.0.0.1", self.ports[self.made % len(self.ports)]))
        s.setblocking(False)
        try:
            if words := hostile_bytes(self.made % 3, self.rng):
                s.send(words)
            self.open[s.fileno()] = s
            self.poll.register(s.fileno(), select.EPOLLIN)
        except OSError:  # closed at once
            s.close()
        self.made += 1

    def turn(self, wait):
        """Lets go of what was closed."""
        for fd, _ in self.poll.poll(wait):
            try:
                if self.open[fd].recv(4096):
                    continue
            except OSError:
                pass
            self.open.pop(fd).close()

    def close(self):
        for s in self.open.values():
            s.close()
        self.poll.close()


def calm_turn(options, pids):
    """Waits for options.seconds; the most memory seen."""
    most, end = 0, time.monotonic() + options.seconds
    while time.monotonic() < end:
        most = max(most, resident(pids))
        time.sleep(TICK)
    return most


def flood_turn(ports, options, seed, pids):
    """Floods for options.seconds; the most memory and the most connections seen."""
    flood, most, held = Flood(ports, options.connections, seed), 0, 0
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < options.seconds:
        due = min(options.connections, int(2 * now / options.seconds * options.connections))
        while flood.made < due:
            flood.connect()
        flood.turn(0)
        time.sleep(TICK)
        most, held = max(most, resident(pids)), max(held, len(flood.open))
    flood.close()
    return most, held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        run, long_job = pathlib.Path(folder) / "run", pathlib.Path(folder) / "job.yaml"
        text = JOB.read_text().replace("steps: 600", "steps: 100000").replace("../", f"{ROOT / 'configs'}/")
        # A checkpoint takes memory of its own.
        long_job.write_text(text.replace("every: 200", "every: 100000"))
        job = subprocess.Popen([ATOLL, "run", long_job, "--run-dir", run, "--quiet"], stdout=subprocess.DEVNULL)
        try:
            measure(job, run, options)
        finally:
            job.send_signal(signal.SIGINT)
            job.wait()


def measure(job, run, options):
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and len(steps(metrics)) >= 20):
        if job.poll() is not None:
            sys.exit("the job did not start; its message is above")
        time.sleep(0.2)
    pids = children(job.pid)
    ports = listening_ports(pids)
    say(f"{len(pids)} processes listen on {len(ports)} ports")
    os.nice(19)
    calm, flooded, growth = [], [], []
    for round_number in range(options.rounds):
        seconds, most_calm = step_time(metrics, lambda: calm_turn(options, pids))
        calm.append(seconds)
        used = time.process_time()
        seconds, (most, held) = step_time(metrics, lambda: flood_turn(ports, options, round_number, pids))
        used = time.process_time() - used
        flooded.append(seconds)
        growth.append((most - most_calm) / MIB)
        say(f"step, ms: calm {1e3 * calm[-1]:.1f}, flooded {1e3 * flooded[-1]:.1f}; memory +{growth[-1]:.1f} MiB; "
            f"{options.connections} connections, up to {held} at a time; the flood itself used {used:.1f} s of a processor")
        time.sleep(8)  # strangers in the middle of a handshake have 5 s
    if job.poll() is not None:
        sys.exit("the job ended during the measurement; give fewer --rounds or --seconds")
    print_row("flood-memory-mib", max(growth), None, 64)
    print_row("flood-step-time", statistics.median(flooded), statistics.median(calm), 1.1)


def step_time(metrics, turn):
    """The median of the seconds between two steps while `turn` lasts, so that an evaluation does not count; and what it returns."""
    first = len(steps(metrics)) - 1
    outcome = turn()
    times = [seconds for seconds, _ in steps(metrics)[first:]]
    return statistics.median(after - before for before, after in zip(times, times[1:])), outcome


def print_row(name, ours, theirs, target):
    ratio = None if theirs is None else ours / theirs
    figures = {"ours": ours, "theirs": theirs, "ratio": ratio}
    row = {"row": name, **{k: v and round(v, 4) for k, v in figures.items()}}
    print(json.dumps(row | {"target": target, "holds": (ratio or ours) <= target}), flush=True)


if __name__ == "__main__":
    main()
