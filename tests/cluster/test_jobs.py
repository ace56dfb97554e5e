"""Several jobs in one cluster: side by side on nodes that they do not share, else one after another."""
import json
import re
import signal
import subprocess
import time
import unittest

from cluster import ClusterTest


class Jobs(ClusterTest):
    def named(self, name, datacenter, **fields):
        path = self.job(nodes=2, **fields)
        text = path.read_text().replace("metadata: {name: test}", f"metadata: {{name: {name}}}")
        path.write_text(text + f"  placement: {{datacenters: [{datacenter}]}}\n")
        return path

    def run_jobs(self, *jobs, status=0):
        command, folder = self.command(jobs[0], *map(str, jobs[1:]))
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, status, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr, folder

    def test_jobs_share_a_cluster(self):
        """a and c want the same node; b has its own. A node that has served a is as good as new."""
        jobs = [self.named("a", "east"), self.named("b", "west", steps=8, evaluate=0), self.named("c", "east")]
        summaries, said, folder = self.run_jobs(*jobs)
        self.assertEqual([one["job"] for one in summaries], ["a", "b", "c"])
        self.assertEqual([one["status"] for one in summaries], ["succeeded"] * 3)
        self.assertEqual([one["steps"] for one in summaries], [20, 8, 20])
        self.assertEqual(self.losses(folder / "a"), self.losses(folder / "c"))
        self.assertIn("c: job c: waiting: job a has its nodes", said)
        log = (folder / "logs/scheduler.log").read_text()
        at = {event: log.index(f"job {event}\n") for event in
              ("a: running", "a: succeeded", "b: running", "b: succeeded", "c: running", "c: succeeded")}
        self.assertLess(at["b: running"], at["a: succeeded"])
        self.assertLess(at["a: running"], at["b: succeeded"])
        self.assertLess(at["a: succeeded"], at["c: running"])
        for name in "abc":
            self.assertTrue((folder / name / "model/model.safetensors").exists())

    def test_a_job_that_fails_leaves_the_others_alone(self):
        """The node of the one is killed; nobody else notices."""
        jobs = [self.named("a", "east", steps=40), self.named("b", "west", steps=10**6)]
        command, folder = self.command(jobs[0], str(jobs[1]))
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = ""
        while "b: step" not in said:
            line = run.stderr.readline()
            self.assertTrue(line, said)
            said += line
        victim = int(re.search(r"west-0 pid (\d+)", said)[1])
        subprocess.run(["kill", "-KILL", str(victim)], check=True)
        out, rest = run.communicate(timeout=120)
        a, b = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((a["status"], a["steps"]), ("succeeded", 40), said + rest)
        self.assertEqual(b["status"], "failed")
        self.assertIn("E_PEER_LOST: node west-0", b["error"])
        self.assertNotEqual(run.returncode, 0)

    def test_ctrl_c_stops_what_runs_and_withdraws_what_waits(self):
        jobs = [self.named("a", "east", steps=10**6), self.named("c", "east")]
        command, folder = self.command(jobs[0], str(jobs[1]))
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = ""
        while "a: step" not in said or "c: job c: waiting" not in said:
            line = run.stderr.readline()
            self.assertTrue(line, said)
            said += line
        started = time.monotonic()
        run.send_signal(signal.SIGINT)
        out, rest = run.communicate(timeout=60)
        a, c = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(a["status"], "stopped", rest)
        self.assertTrue(a["checkpoint"])
        self.assertIn("withdrawn before it began", c["error"])
        self.assertEqual(run.returncode, 130)
        print(f"stopped after {time.monotonic() - started:.1f} s")

    def test_what_cannot_run_together_is_said_before_anything_runs(self):
        one = self.named("a", "east")
        for jobs, message in [((one, self.named("a", "west")), "E_USAGE: job a: cannot have a folder of this name"),
                              ((one, self.named("b", "south")), r"E_NO_FIT: .*job-\d+.yaml: spec.placement.datacenters: 'south' is no datacenter")]:
            _, said, folder = self.run_jobs(*jobs, status=2)
            self.assertRegex(said, message)
            self.assertFalse(folder.exists())


if __name__ == "__main__":
    unittest.main()
