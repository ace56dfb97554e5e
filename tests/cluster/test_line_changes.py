"""A line becomes slow while a job runs: the codec of its gradients follows."""
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from cluster import ATOLL, ClusterTest
from long_line import LinkCluster, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "wan"))
import wan

CHOICE = re.compile(r"sync/\S+: gradients travel as (\S+) from the next step on; own slowest line: (\S+)")


class Cable(wan.Rig):
    """Two namespaces and a cable between them, as fast as this machine copies until it is told a rate."""

    def build(self):
        self.a, self.b = self.add_node("a", "10.76.0.1"), self.add_node("b", "10.76.0.2")
        wan._ip("-n", self.a.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.b.namespace)
        for side in (self.a, self.b):
            wan._ip("-n", side.namespace, "address", "add", f"{side.address}/24", "dev", "eth0")
            wan._ip("-n", side.namespace, "link", "set", "eth0", "up")

    def rate(self, rate):
        for side in (self.a, self.b):
            side.run(["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "32kb", "latency", "50ms"],
                     check=True)


class LineChanges(ClusterTest):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="atoll-line-")
        self.addCleanup(self.home.cleanup)
        self.folder = pathlib.Path(self.home.name)

    def choices(self, node):
        """The codecs that a node's gradients were given, one after the other."""
        return [codec for codec, _ in CHOICE.findall((self.folder / f"{node}.log").read_text())]

    def packed(self):
        """Whether gradients travel in a byte or less, and packed; None before the first choice."""
        chosen = self.choices("east-0")
        return chosen[-1].startswith(("int8+zstd", "fp8+zstd")) if chosen else None

    def test_gradients_are_packed_when_the_line_becomes_slow(self):
        with Cable() as rig, LinkCluster(rig.a, rig.b, self.folder) as cluster:
            text = self.job(nodes=2, dp=2, steps=100000, evaluate=100000, snapshot=100000, gradients="auto:0.02",
                            activations="none").read_text()
            job, run = self.folder / "job.yaml", self.folder / "run"
            job.write_text(re.sub("topology: .*", "topology: topology.yaml", text))
            client = rig.a.start([ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", cluster.scheduler,
                                  "--identity", "cluster/client"], cwd=self.folder, stdout=subprocess.PIPE, text=True)
            wait_for(lambda: self.packed() is False, 90)  # some samples of a fast line's bursts show it as slow
            rig.rate("10mbit")
            began = time.monotonic()
            wait_for(self.packed, 20)
            took = time.monotonic() - began
            client.send_signal(signal.SIGINT)
            summary = json.loads(client.communicate(timeout=20)[0])
        self.assertEqual(summary["status"], "stopped")
        # Replicas round alike, so they must have changed their minds together.
        self.assertEqual(self.choices("east-0"), self.choices("west-0"))
        print(f"{', '.join(self.choices('east-0'))}: packed {took:.1f} s after the line had become slow")
        self.assertLess(took, 10)
        self.assertLess(summary["wire_bytes"], 0.6 * summary["payload_bytes"])


if __name__ == "__main__":
    wan.require()
    unittest.main(verbosity=2)
