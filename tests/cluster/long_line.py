"""A scheduler and two nodes at the two sides of an emulated line, to measure the line through them."""
import json
import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATOLL = pathlib.Path(os.environ.get("ATOLL", ROOT / "build/release/bin/atoll"))
TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: long-line}}
spec:
  datacenters:
    - {{name: east, nodes: [{{name: east-0, memory: 1GiB, address: {a}}}]}}
    - {{name: west, nodes: [{{name: west-0, memory: 1GiB, address: {b}}}]}}
  lines:
    - {{between: [east, west], rate: 1Mbit/s, roundTrip: 1ms}}
"""


class LinkCluster:
    """The scheduler and east-0 are at `a`, west-0 at `b`, enrolled with tokens; a context manager that ends what it started.
    `topology` has {a} and {b} where the sides' addresses go."""

    def __init__(self, a, b, folder, topology=TOPOLOGY):
        self.a, self.b, self.folder, self.topology = a, b, pathlib.Path(folder), topology
        self.processes = []

    def __enter__(self):
        self.atoll("keys", "cluster", "cluster", "--datacenter", "east")
        (self.folder / "topology.yaml").write_text(self.topology.format(a=self.a.address, b=self.b.address))
        self.start(self.a, "scheduler", "scheduler", "--identity", "cluster/scheduler", "--authority",
                   "cluster/authority.key", "--topology", "topology.yaml", "--listen", f"{self.a.address}:0",
                   "--address-file", "address")
        address = self.folder / "address"
        self.scheduler = wait_for(lambda: address.exists() and address.read_text())
        for side, name in ((self.a, "east-0"), (self.b, "west-0")):
            self.atoll("token", "create", "--identity", "cluster/scheduler", "--datacenter", name[:4], "--out", f"{name}.token")
            self.start(side, name, "node", "--identity", name, "--enrol", f"{name}.token", "--name", name, "--scheduler",
                       self.scheduler, "--listen", f"{side.address}:0")
        log = self.folder / "scheduler.log"
        wait_for(lambda: log.read_text().count("registered") == 2)
        return self

    def atoll(self, *words):
        done = self.a.run([ATOLL, *words], capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"atoll {' '.join(map(str, words))} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self, side, name, *words):
        self.processes.append(side.start([ATOLL, *words, "--log", f"{name}.log"], cwd=self.folder))

    def test(self, streams, seconds, congestion=None):
        """What `atoll link test east-0 west-0` says."""
        words = ["link", "test", "east-0", "west-0", "--identity", "cluster/client", "--scheduler", self.scheduler,
                 "--streams", streams, "--seconds", seconds, "--json"]
        return json.loads(self.atoll(*words, *(["--congestion", congestion] if congestion else [])))

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(10)


def wait_for(what, limit=15):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(0.05)
    raise RuntimeError(f"waited {limit} s in vain; see the logs")
