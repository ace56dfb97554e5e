"""atoll topology measure, and what plans make of it."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from cluster import ATOLL, ClusterTest
from long_line import LinkCluster


class Here:
    """Both sides of a line, when it is this machine's loopback."""
    address = "127.0.0.1"

    def run(self, command, **options):
        return subprocess.run(command, **options)

    def start(self, command, **options):
        return subprocess.Popen(command, **options)


def atoll(*arguments, **environment):
    return subprocess.run([ATOLL, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **environment})


class Topology(ClusterTest):
    def predicted(self, job):
        done = atoll("simulate", job, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["step_seconds"]

    def test_measures_this_machine_and_plans_by_it(self):
        job = self.job(nodes=2, pp=2)
        before = self.predicted(job)
        out = self.root / "machine.json"
        done = atoll("topology", "measure", "--threads", 1, "--job", job, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(out.read_text())
        self.assertTrue(figures["real"])
        self.assertEqual([profile["threads"] for profile in figures["profiles"]], [1])
        self.assertIn(figures["node"], done.stdout)
        self.assertIn("speed: ", figures["node"])
        if not figures["gpus"]:
            self.assertIn("gpu           none: " + figures["no_gpu_because"], done.stdout)
        profile = self.root / "cache" / "profile.json"
        self.assertEqual(figures["kept"], str(profile))
        self.assertNotEqual(self.predicted(job), before)

        # The printed entry is a node of a topology.
        pasted = self.root / "pasted.yaml"
        pasted.write_text("apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: pasted}\nspec:\n  datacenters:\n"
                          f"    - name: here\n      nodes:\n        - {figures['node']}\n")
        done = atoll("simulate", job, "--topology", pasted)
        self.assertEqual(done.returncode, 0, done.stderr)

        # A run plans alike on both sides, and a damaged profile is refused before anything starts.
        status, summary, stderr, _ = self.run_job(self.job(nodes=2, pp=2, steps=5))
        self.assertEqual(status, 0, stderr)
        profile.write_text("damaged")
        try:
            for command in (("simulate", job), ("plan", job), ("run", job, "--run-dir", self.root / "refused")):
                done = atoll(*command)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("profile.json: is no profile of this machine", done.stderr)
        finally:
            profile.unlink()

    def test_measures_the_lines_of_a_cluster(self):
        folder = self.root / "lines"
        folder.mkdir()
        with LinkCluster(Here(), Here(), folder) as cluster:
            command = ["topology", "lines", "topology.yaml", "--identity", "cluster/client", "--scheduler",
                       cluster.scheduler, "--seconds", 1, "--streams", 1]
            lines = json.loads(cluster.atoll(*map(str, command), "--json"))
            self.assertEqual([line["between"] for line in lines], [["east", "west"]])
            self.assertTrue(lines[0]["measured"])
            self.assertEqual((lines[0]["from"], lines[0]["to"]), ("east-0", "west-0"))
            self.assertGreater(lines[0]["rate"], 1e6)  # what the topology says
            self.assertGreater(lines[0]["round_trip_ms"], 0)
            text = cluster.atoll(*map(str, command))
            self.assertIn("    - {between: [east, west], rate: ", text)
            self.assertIn("as measured", (folder / "scheduler.log").read_text())

    def test_describes_a_machine_that_is_made_up_and_measures_nothing(self):
        done = atoll("topology", "measure", "--json", HWLOC_SYNTHETIC="package:2 numa:1 core:4 pu:2")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["real"], figures["packages"], figures["cores"], figures["threads"]),
                         (False, 2, 8, 16))
        self.assertEqual(len(figures["numa"]), 2)
        self.assertEqual(figures["profiles"], [])
        self.assertIn("threads: 8}", figures["node"])

    def test_gives_each_gpu_an_entry_that_lacks_its_speed(self):
        shutil.copy(pathlib.Path(ATOLL).parent.parent / "lib/libfake_nvml_two.so", self.root / "libnvidia-ml.so.1")
        machine = dict(HWLOC_SYNTHETIC="package:1 core:2 pu:1", LD_LIBRARY_PATH=str(self.root))
        done = atoll("topology", "measure", "--json", **machine)
        self.assertEqual(done.returncode, 0, done.stderr)
        entries = [gpu["node"] for gpu in json.loads(done.stdout)["gpus"]]
        self.assertEqual([f"device: cuda:{i}, speed: SPEED}}" in entry for i, entry in enumerate(entries)], [True, True])
        text = atoll("topology", "measure", **machine).stdout
        for entry in entries:
            self.assertIn(f"        - {entry}\n", text)
        self.assertIn("put what yours computes, such as 20TFLOP/s, for SPEED", text)
        pasted = self.root / "gpus.yaml"
        pasted.write_text("apiVersion: atoll.dev/v1\nkind: Topology\nmetadata: {name: gpus}\nspec:\n  datacenters:\n"
                          "    - name: here\n      nodes:\n"
                          + "".join(f"        - {entry.replace('SPEED', '20TFLOP/s')}\n" for entry in entries))
        done = atoll("simulate", self.job(nodes=2, pp=2), "--topology", pasted)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
