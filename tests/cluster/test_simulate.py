"""atoll simulate and atoll bench plan, as a user calls them."""
import json
import pathlib
import subprocess
import unittest

from cluster import ATOLL, ClusterTest

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"


def atoll(*arguments):
    return subprocess.run([ATOLL, *map(str, arguments)], capture_output=True, text=True, timeout=120)


class Simulate(ClusterTest):
    def test_says_what_a_step_takes_and_writes_a_trace(self):
        trace = self.root / "trace.json"
        done = atoll("simulate", CONFIGS / "jobs/quickstart.yaml", "--json", "--trace", trace)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertGreater(figures["step_seconds"], 0)
        self.assertEqual([node["name"] for node in figures["nodes"]], ["east-0", "east-1", "west-0", "west-1"])
        for node in figures["nodes"]:
            self.assertLess(node["memory"], node["memory_limit"])
            for share in ("compute", "io", "bubble"):
                self.assertTrue(0 <= node[share] <= 1, node)
        self.assertEqual(sum(line["between_datacenters"] for line in figures["lines"]), 2)
        events = json.loads(trace.read_text())["traceEvents"]
        self.assertEqual({event["ph"] for event in events}, {"M", "X"})

    def test_takes_another_topology(self):
        job = CONFIGS / "jobs/quickstart.yaml"
        done = atoll("simulate", job, "--topology", CONFIGS / "topologies/one-node.yaml", "--rounds", 5)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("devices       1,", done.stdout)
        self.assertIn("here-0", done.stdout)
        self.assertNotIn("line  ", done.stdout)

    def test_names_what_it_cannot_read_or_write(self):
        job = CONFIGS / "jobs/quickstart.yaml"
        for arguments, said in [((job, "--topology", self.root / "none.yaml"), "none.yaml"),
                                ((job, "--trace", self.root / "none/trace.json"), "none/trace.json"),
                                ((job, "--rounds", 0), "--rounds")]:
            done = atoll("simulate", *arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)

    def test_holds_a_thousand_devices_to_a_second(self):
        done = atoll("bench", "plan", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        print(rows)
        self.assertEqual([(row["row"], row["theirs"], row["target"]) for row in rows],
                         [("simulate-1000", None, 1), ("search-1000", None, 10)])
        self.assertTrue(all(row["ours"] > 0 for row in rows))


if __name__ == "__main__":
    unittest.main(verbosity=2)
