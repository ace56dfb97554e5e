"""Nodes of one datacenter that offer UCX use it, sealed; what they learn and how they fail stays the same."""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from cluster import ATOLL, TOPOLOGY, ClusterTest


class Ucx(ClusterTest):
    def topology(self, nodes):
        """One datacenter; self.offers has what each node offers."""
        members = ", ".join(f"{{name: here-{k}, memory: 1GiB, threads: 1{', ucx: ' + json.dumps(ways) if ways else ''}}}"
                            for k, ways in enumerate(self.offers))
        path = self.root / f"topology-{self.runs}.yaml"
        path.write_text(TOPOLOGY.format(datacenters=f"    - {{name: here, nodes: [{members}]}}", lines=""))
        return path

    def train(self, offers, **fields):
        self.offers = offers
        status, summary, stderr, folder = self.run_job(self.job(nodes=len(offers), steps=10, **fields))
        self.assertEqual(status, 0, stderr)
        return self.losses(folder), self.joined(folder)

    def joined(self, folder):
        """The lines of the nodes' logs that tell of peers over UCX."""
        logs = [path.read_text() for path in sorted((folder / "logs").glob("here-*.log"))]
        return [line for log in logs for line in log.splitlines() if "(ucx over here-" in line]

    def test_losses_are_those_of_tcp_bit_by_bit(self):
        for layout in ({"dp": 2}, {"pp": 2}):
            reference, joined = self.train([None, None], **layout)
            self.assertEqual(joined, [])
            for ways in ("shm", "lo", "shm,lo"):
                with self.subTest(ways=ways, layout=layout):
                    losses, joined = self.train([ways, ways], **layout)
                    self.assertEqual(losses, reference)
                    self.assertEqual(len(joined), 2, joined)

    def test_tcp_stays_where_only_one_offers(self):
        self.assertEqual(self.train(["shm", None], dp=2)[1], [])

    def test_the_plan_says_who_talks_over_it(self):
        self.offers = ["shm", None, "shm", "shm,lo"]
        job = self.job(nodes=4, pp=4)
        shown = subprocess.run([ATOLL, "plan", job], capture_output=True, text=True, check=True).stdout
        # The first stage, where the norm is, has something with each; the second offers nothing.
        self.assertEqual(re.findall(r"node (\S+) in .*, ucx \((\S+)\) to (.*)", shown),
                         [("here-0", "shm", "here-2, here-3"), ("here-2", "shm", "here-0, here-3"),
                          ("here-3", "shm,lo", "here-0, here-2")])

    def test_a_wrong_device_is_named(self):
        self.offers = ["shm,,lo", "shm"]
        status, _, stderr, _ = self.run_job(self.job(nodes=2, dp=2))
        self.assertEqual(status, 2)
        self.assertIn("'shm,,lo' is no list", stderr)
        self.offers = ["shm", "shm"]
        status, _, stderr, folder = self.run_job(self.job(nodes=2, dp=2, steps=10))
        self.assertEqual(status, 0, stderr)
        for ways in ("nowhere9", "shm,"):
            with self.subTest(ways=ways):
                node = subprocess.run([ATOLL, "node", "--identity", folder / "identities" / "here-0", "--scheduler",
                                       "127.0.0.1:1", "--ucx", ways], capture_output=True, text=True, timeout=20)
                self.assertEqual((node.returncode, node.stdout), (2, ""))
                self.assertRegex(node.stderr, f"(?m)^E_USAGE: ucx {ways}")

    def start(self):
        self.offers = ["shm", "shm"]
        command, _ = self.command(self.job(nodes=2, dp=2, steps=100000, snapshot=10, evaluate=0))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("checkpoint of step"):
                break
        else:
            self.fail("".join(lines))
        return process, dict((name, int(pid)) for name, pid in re.findall(r"(\S+) pid (\d+)", "".join(lines)))

    def finish(self, process):
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=15)
        self.assertEqual(json.loads(stdout.strip().splitlines()[-1])["status"], "failed")
        return stderr.strip().splitlines()[-1], time.monotonic() - began

    def test_a_killed_node_ends_the_job_at_once(self):
        process, pids = self.start()
        os.kill(pids["here-1"], signal.SIGKILL)
        error, seconds = self.finish(process)
        self.assertRegex(error, r"^E_PEER_LOST: node here-1: lost at step \d+")
        self.assertLess(seconds, 5)

    def test_a_stopped_node_is_given_up_after_the_peer_timeout(self):
        process, pids = self.start()
        os.kill(pids["here-1"], signal.SIGSTOP)
        try:
            error, _ = self.finish(process)
        finally:
            if os.path.exists(f"/proc/{pids['here-1']}"):
                os.kill(pids["here-1"], signal.SIGKILL)
        self.assertIn("here-1", error)


if __name__ == "__main__":
    unittest.main(verbosity=2)
