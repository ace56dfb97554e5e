"""What is measured on a machine, kept there, and proposed for a job."""
import json
import os
import pathlib
import subprocess
import unittest

from cluster import ATOLL, ClusterTest


class Tune(ClusterTest):
    def atoll(self, *arguments):
        return subprocess.run([ATOLL, *map(str, arguments)], capture_output=True, text=True, timeout=100)

    def cache(self):
        return pathlib.Path(os.environ["ATOLL_CACHE"]) / "tune.json"

    def test_choices_are_measured_shown_and_forgotten(self):
        done = self.atoll("tune", "run", self.job())
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = json.loads(self.atoll("tune", "show", "--json").stdout)
        self.assertEqual(shown["path"], str(self.cache()))
        self.assertGreater(len(shown["choices"]), 0)
        self.assertTrue(all(choice["call"].startswith("matmul on cpu") for choice in shown["choices"]))
        self.assertEqual(self.atoll("tune", "clear").returncode, 0)
        self.assertFalse(self.cache().exists())

    def test_a_damaged_cache_stops_nobody(self):
        self.cache().parent.mkdir(parents=True, exist_ok=True)
        self.cache().write_text("{ damaged")
        status, summary, stderr, folder = self.run_job(self.job(steps=5))
        self.assertEqual((status, summary["status"]), (0, "succeeded"), stderr)
        warnings = [line for log in (folder / "logs").iterdir() for line in log.read_text().splitlines()
                    if "atoll tune clear" in line]
        self.assertEqual(len(warnings), 1)
        self.assertEqual(self.cache().read_text(), "{ damaged")
        shown = self.atoll("tune", "show")
        self.assertEqual(shown.returncode, 2)
        self.assertIn("atoll tune clear", shown.stderr)
        self.atoll("tune", "clear")

    def test_a_job_gets_a_proposal_that_it_can_run_with(self):
        done = self.atoll("tune", "job", self.job(nodes=2, dp=2))
        self.assertEqual(done.returncode, 0, done.stderr)
        values = {}
        for line in done.stdout.split("under spec:")[1].splitlines():
            name, _, value = line.strip().partition(": ")
            if value:
                values[name] = int(value)
        self.assertEqual(values["leaves"] * values["sequencesPerLeaf"], 8)
        self.assertGreaterEqual(values["leaves"], 2)
        loader = f", prefetch: {values['prefetch']}, workers: {values['workers']}"
        status, _, stderr, _ = self.run_job(self.job(nodes=2, dp=2, steps=5, loader=loader))
        self.assertEqual(status, 0, stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
