"""How datacenters work together is the planner's to choose (datacenters: {mode: auto})."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from cluster import ATOLL, ClusterTest
from long_line import LinkCluster

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "wan"))
import wan


class Modes(ClusterTest):
    def automatic(self, bound="0.5", **fields):
        path = self.job(nodes=2, **fields)
        text = re.sub(r"  (parallelism|codecs): .*\n", "", path.read_text())
        path.write_text(text + f"  datacenters: {{mode: auto, extra_tokens: {bound}, outer_momentum: 0.6}}\n")
        return path

    def on(self, path, line):
        """The same job, with this line between its datacenters."""
        topology = self.root / "topology-2.yaml"
        other = self.root / "another-line.yaml"
        other.write_text(re.sub(r"rate: \S+, roundTrip: [^}]+", line, topology.read_text()))
        path.write_text(path.read_text().replace(str(topology), str(other)))
        return path

    def plans(self, path):
        done = subprocess.run([ATOLL, "plan", path, "--format", "json"], capture_output=True, text=True, check=True)
        decoder, text, plans = json.JSONDecoder(), done.stdout.strip(), []
        while text:
            plan, end = decoder.raw_decode(text)
            plans.append(plan)
            text = text[end:].strip()
        return plans

    def test_who_may_lose_nothing_stays_in_lock_step(self):
        job = self.on(self.automatic(bound="0"), "rate: 100Gbit/s, roundTrip: 100us")
        self.assertEqual([plan["modes"][0]["mode"].split(",")[0] for plan in self.plans(job)], ["lock-step"])
        status, summary, said, folder = self.run_job(job)
        self.assertEqual(status, 0, said)
        self.assertTrue((folder / "metrics.jsonl").exists())
        self.assertIn("  taken  lock-step", (folder / "plan.txt").read_text())

    def test_a_slow_line_makes_them_train_by_local_steps(self):
        job = self.on(self.automatic(steps=64), "rate: 1Mbit/s, roundTrip: 100ms")
        plans = self.plans(job)
        self.assertEqual(len(plans), 2)
        self.assertEqual([plan["descriptor"]["spec"]["training"]["leaves"] for plan in plans], [4, 4])
        status, summary, said, folder = self.run_job(job)
        self.assertEqual(status, 0, said)
        self.assertEqual(summary["steps"], 64)
        ends = [self.metrics(folder / one)[-1]["validation_loss"] for one in ("east", "west")]
        self.assertAlmostEqual(*ends, delta=1e-5)
        self.assertIn("  taken  local steps", (folder / "plan.txt").read_text())

    def test_a_running_cluster_is_measured_first(self):
        """The topology says that the line is fast, and it is not."""
        with tempfile.TemporaryDirectory(prefix="atoll-modes-") as home, wan.Sides(rate="2mbit", delay="40ms") as sides:
            folder = pathlib.Path(home)
            topology = LinkCluster(sides.a, sides.b, folder).topology.replace("rate: 1Mbit/s", "rate: 100Gbit/s")
            with LinkCluster(sides.a, sides.b, folder, topology) as cluster:
                job, run = folder / "job.yaml", folder / "run"
                job.write_text(re.sub("topology: .*", "topology: topology.yaml", self.automatic(steps=40).read_text()))
                done = sides.a.run([ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", cluster.scheduler, "--identity",
                                    "cluster/client"], cwd=folder, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("measuring the lines between the datacenters of job test", done.stderr)
            self.assertIn("  taken  local steps", (run / "plan.txt").read_text())
            self.assertEqual([(run / one / "metrics.jsonl").exists() for one in ("east", "west")], [True, True])


if __name__ == "__main__":
    wan.require()
    unittest.main()
