"""A line between datacenters is cut, with the scheduler at one of its ends: who trains by local steps goes on at both."""
import json
import pathlib
import re
import sys
import tempfile
import unittest

from cluster import ATOLL, ClusterTest
from long_line import LinkCluster, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "wan"))
import wan

STEPS = 160
TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: cut}}
spec:
  datacenters:
    - {{name: east, nodes: [{{name: east-0, memory: 1GiB, address: {a}, speed: 2GFLOP/s, paced: true}}]}}
    - {{name: west, nodes: [{{name: west-0, memory: 1GiB, address: {b}, speed: 2GFLOP/s, paced: true}}]}}
  lines: [{{between: [east, west], rate: 50Mbit/s, roundTrip: 20ms}}]
"""


class Outage(ClusterTest):
    def run_with_a_cut(self, seconds, outage):
        """Of the job's folder, what was said, and the logs."""
        with tempfile.TemporaryDirectory(prefix="atoll-outage-") as home, wan.Sides(rate="50mbit", delay="10ms") as sides:
            folder = pathlib.Path(home)
            job, run = folder / "job.yaml", folder / "run"
            text = re.sub("topology: .*", "topology: topology.yaml", self.job(nodes=2, steps=STEPS, evaluate=STEPS).read_text())
            job.write_text(text + "  datacenters: {mode: local_steps, inner_steps: 8, grace: 2s, outage: %s}\n" % outage)
            with LinkCluster(sides.a, sides.b, folder, TOPOLOGY) as cluster:
                running = sides.a.start([ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", cluster.scheduler, "--identity",
                                         "cluster/client"], cwd=folder, stdout=-1, stderr=-1, text=True)
                metrics = run / "west/metrics.jsonl"
                wait_for(lambda: running.poll() is not None or metrics.exists() and metrics.read_text().count("\n") >= 20, 60)
                sides.line.command(f"blackout {seconds}s")
                out, said = running.communicate(timeout=120)
                self.assertEqual(running.returncode, 0, said)
            logs = {name: (folder / f"{name}.log").read_text() for name in ("scheduler", "east-0", "west-0")}
            ends = {name: [line["seconds"] for line in self.metrics(run / name) if "loss" in line] for name in ("east", "west")}
            last = [self.metrics(run / name)[-1].get("validation_loss") for name in ("east", "west")]
            return json.loads(out.splitlines()[-1]), said, logs, ends, last

    def test_a_cut_line_stops_nobody_and_both_end_with_the_same_weights(self):
        summary, said, logs, ends, last = self.run_with_a_cut(8, "1min")
        self.assertEqual(summary["steps"], STEPS)
        self.assertIn("test in west may go on by itself: node west-0 is out of reach", said)
        self.assertIn("node west-0 is back, and has gone on with test in west", logs["scheduler"])
        self.assertIn("goes on by itself for 1m00s", logs["west-0"])
        self.assertNotIn("the others go on without", said)
        for name, seconds in ends.items():
            self.assertEqual(len(seconds), STEPS, name)
            longest = max(after - before for before, after in zip(seconds, seconds[1:]))
            self.assertLess(longest, 4, f"{name} stood still")  # not for the 8 seconds
        self.assertAlmostEqual(*last, delta=1e-5)

    def test_after_the_outage_the_others_go_on_without_it(self):
        _, said, logs, ends, _ = self.run_with_a_cut(60, "1s")
        self.assertIn("the others go on without test in west", said)
        self.assertIn("E_TIMED_OUT: scheduler", logs["west-0"])
        self.assertEqual(len(ends["east"]), STEPS)


if __name__ == "__main__":
    wan.require()
    unittest.main()
