"""Nodes die, users press Ctrl-C: the job ends soon, says why, and what was written stays whole."""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from cluster import ATOLL, ClusterTest


class Failure(ClusterTest):
    def start(self, **fields):
        """A long run on four nodes; returns once its first checkpoint is written."""
        job = self.job(nodes=4, dp=2, pp=2, steps=100000, snapshot=10, evaluate=0, **fields)
        command, folder = self.command(job)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("checkpoint of step"):
                break
        else:
            self.fail("".join(lines))
        pids = dict((name, int(pid)) for name, pid in re.findall(r"(\S+) pid (\d+)", "".join(lines)))
        return process, folder, pids

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def finish(self, process, limit):
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=limit)
        print(f"ended {time.monotonic() - began:.2f} s later, exit status {process.returncode}")
        return process.returncode, json.loads(stdout.strip().splitlines()[-1]), stderr

    def assert_nothing_runs(self, pids):
        for name, pid in pids.items():
            self.assertFalse(os.path.exists(f"/proc/{pid}"), name)

    def test_a_killed_node_ends_the_job_with_its_name(self):
        for name in ("east-1", "west-0"):
            with self.subTest(node=name):
                process, folder, pids = self.start()
                os.kill(pids[name], signal.SIGKILL)
                status, summary, stderr = self.finish(process, 10)
                self.assertEqual(status, 1)
                self.assertEqual(summary["status"], "failed")
                error = stderr.strip().splitlines()[-1]
                self.assertRegex(error, rf"^E_PEER_LOST: node {name}: lost at step \d+ of epoch 1 .*actors .*layers/r")
                self.assert_nothing_runs(pids)
                whole = subprocess.run([ATOLL, "export", "--checkpoint", summary["checkpoint"], folder / "out"],
                                       capture_output=True, text=True)
                self.assertEqual(whole.returncode, 0, whole.stderr)

    def test_a_stopped_node_is_given_up_after_the_peer_timeout(self):
        process, _, pids = self.start()
        os.kill(pids["west-1"], signal.SIGSTOP)
        try:
            status, summary, stderr = self.finish(process, 10)
        finally:
            if os.path.exists(f"/proc/{pids['west-1']}"):
                os.kill(pids["west-1"], signal.SIGKILL)
        self.assertEqual((status, summary["status"]), (1, "failed"))
        self.assertIn("west-1", stderr.strip().splitlines()[-1])

    def test_a_killed_scheduler_ends_the_run(self):
        process, _, pids = self.start()
        os.kill(pids["scheduler"], signal.SIGKILL)
        status, _, stderr = self.finish(process, 10)
        self.assertEqual(status, 1)
        self.assertIn("scheduler", stderr.strip().splitlines()[-1])
        self.assert_nothing_runs(pids)

    def test_ctrl_c_stops_cleanly_with_a_checkpoint(self):
        process, folder, pids = self.start()
        process.send_signal(signal.SIGINT)
        status, summary, _ = self.finish(process, 20)
        self.assertEqual((status, summary["status"]), (130, "stopped"))
        self.assertTrue(summary["checkpoint"].endswith(f"step-{summary['steps']:08d}"), summary)
        self.assertTrue((folder / "model" / "model.safetensors").exists())
        self.assert_nothing_runs(pids)


if __name__ == "__main__":
    unittest.main(verbosity=2)
