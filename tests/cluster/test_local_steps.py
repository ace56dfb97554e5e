"""Datacenters that train by themselves and tell each other of their progress (datacenters: {mode: local_steps})."""
import json
import pathlib
import re
import signal
import subprocess
import time
import unittest

from cluster import ATOLL, ClusterTest

LOCAL = "mode: local_steps, inner_steps: 4, fragments: 3, outer_learning_rate: 0.7, outer_momentum: 0.5"


class LocalSteps(ClusterTest):
    def islands(self, nodes=2, local=LOCAL, **fields):
        path = self.job(nodes=nodes, **fields)
        path.write_text(path.read_text() + f"  datacenters: {{{local}}}\n")
        return path

    def validation(self, folder):
        return [line["validation_loss"] for line in self.metrics(folder) if "validation_loss" in line]

    def check_agreement(self, folder, evaluations=None):
        """Both end with the global weights, which rounding alone tells apart."""
        east, west = self.validation(folder / "east"), self.validation(folder / "west")
        self.assertAlmostEqual(east[-1], west[-1], delta=1e-5)
        if evaluations is not None:
            self.assertEqual((len(east), len(west)), (evaluations, evaluations))
        return east[-1]

    def test_datacenters_end_with_the_same_weights(self):
        status, summary, said, folder = self.run_job(self.islands(steps=40))
        self.assertEqual(status, 0, said)
        self.assertEqual(summary["steps"], 40)
        loss = self.check_agreement(folder, evaluations=4)
        for one in ("east", "west"):  # as the job says, or longer where this machine is busy
            intervals = [line["inner_steps"] for line in self.metrics(folder / one) if "loss" in line]
            self.assertEqual(len(intervals), 40)
            self.assertTrue(all(steps >= 4 and steps % 4 == 0 for steps in intervals[2:]), intervals)
        self.assertAlmostEqual(summary["val_loss"], loss, delta=1e-5)
        self.assertTrue((folder / "model/model.safetensors").exists())
        # They see different text, and learn from each other: alone, a datacenter learns less.
        losses = [[line["loss"] for line in self.losses(folder / one) if "loss" in line] for one in ("east", "west")]
        self.assertNotEqual(*losses)
        alone = self.job(nodes=1, steps=40)
        status, summary, said, _ = self.run_job(alone)
        self.assertEqual(status, 0, said)
        self.assertLess(loss, summary["val_loss"] + 0.05)

    def test_every_layout_inside_a_datacenter(self):
        """And every kind of codec for what is told."""
        for layout, codec in (({"dp": 2}, "none"), ({"dp": 2, "zero": 1}, "int4+zstd"), ({"dp": 2, "zero": 3}, "int8"),
                              ({"pp": 2, "schedule": "zero-bubble"}, "bf16+zstd"), ({"tp": 2}, "top-k:0.1"),
                              ({"cp": 2}, "power-sgd:4"), ({"dp": 2, "zero": 2}, "fp8+zstd")):
            with self.subTest(layout=layout, codec=codec):
                status, _, said, folder = self.run_job(self.islands(nodes=4, local=f"{LOCAL}, codec: {codec}", **layout))
                self.assertEqual(status, 0, said)
                self.check_agreement(folder)

    def test_a_loss_that_rises_has_fragments_told_more_often(self):
        """The rate rises until weights fly apart: late evaluations are far worse than the best before."""
        local = "mode: local_steps, inner_steps: 16, fragments: 2, codec: none, loss_guard: 0.02"
        job = self.islands(local=local, steps=96, evaluate=8, snapshot=0)
        usual = "learningRate: 3e-3, minimumLearningRate: 3e-4, warmupSteps: 3"
        self.assertIn(usual, job.read_text())
        job.write_text(job.read_text().replace(usual, "learningRate: 1, minimumLearningRate: 1, warmupSteps: 90"))
        status, _, said, folder = self.run_job(job)
        self.assertEqual(status, 0, said)
        intervals = [line["inner_steps"] for line in self.metrics(folder / "east") if "loss" in line]
        told = [interval for interval in intervals if interval > 0]  # 0: before the store has said
        self.assertEqual(told[0], 16)
        self.assertIn(min(told), (4, 8))

    def test_bf16_islands(self):
        status, _, said, folder = self.run_job(self.islands(training=", precision: bf16"))
        self.assertEqual(status, 0, said)
        self.check_agreement(folder)

    def begin(self, job, until):
        command, folder = self.command(job)
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = ""
        while until not in said:
            line = run.stderr.readline()
            self.assertTrue(line, said)
            said += line
        return run, said, folder

    def steps_of(self, folder):
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["step"] for line in lines if '"loss"' in line]

    def wait_for_step(self, folder, step):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (folder / "metrics.jsonl").exists() and max(self.steps_of(folder)[-1:], default=0) >= step:
                return
            time.sleep(0.05)
        self.fail(f"{folder} did not come to step {step}")

    def test_one_that_is_lost_stops_nobody_and_comes_back(self):
        """Either may be the home of a fragment; the one that is back has the weights of the other."""
        for lost, stays in (("west", "east"), ("east", "west")):
            with self.subTest(lost=lost):
                job = self.islands(local=LOCAL + ", grace: 1s", steps=1500, evaluate=0, snapshot=0)
                run, said, folder = self.begin(job, "step ")
                self.wait_for_step(folder / lost, 100)
                pid = int(re.search(rf"{lost}-0 pid (\d+)", said)[1])
                arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:-1]
                subprocess.run(["kill", "-KILL", str(pid)], check=True)
                at = self.steps_of(folder / stays)[-1]
                self.wait_for_step(folder / stays, at + 50)
                again = subprocess.Popen([ATOLL, *arguments], stderr=subprocess.DEVNULL)
                out, rest = run.communicate(timeout=120)
                self.assertEqual(run.returncode, 0, said + rest)
                again.wait(timeout=20)
                self.assertIn(f"the others go on without test in {lost}: E_PEER_LOST: node {lost}-0", said + rest)
                self.assertEqual(json.loads(out)["status"], "succeeded")
                steps = self.steps_of(folder / lost)
                jumps = [b - a for a, b in zip(steps, steps[1:]) if b != a + 1]
                self.assertEqual(len(jumps), 1, jumps)  # it begins where the other is
                self.assertGreater(jumps[0], 0)
                self.assertEqual(self.steps_of(folder / stays), list(range(1, 1501)))
                self.check_agreement(folder)

    def test_the_homes_of_one_that_is_lost_move(self):
        """Of three datacenters the two that are left end with the same weights, also where the third made the updates."""
        job = self.islands(local=LOCAL + ", grace: 1s", steps=600, snapshot=0)
        topology = self.topology(2)
        text = topology.read_text()
        east = "    - {name: east, nodes: [{name: east-0, memory: 1GiB, threads: 1}]}\n"
        self.assertIn(east, text)
        line = "{between: [east, west], rate: 1Gbit/s, roundTrip: 1ms}"
        lines = ", ".join(line.replace("east, west", pair) for pair in ("east, west", "east, south", "south, west"))
        three = self.root / "three.yaml"
        three.write_text(text.replace(east, east + east.replace("east", "south")).replace(line, lines))
        job.write_text(job.read_text().replace(str(topology), str(three)))
        run, said, folder = self.begin(job, "step ")
        for one in ("east", "south", "west"):
            self.wait_for_step(folder / one, 20)
        subprocess.run(["kill", "-KILL", re.search(r"south-0 pid (\d+)", said)[1]], check=True)
        out, rest = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, said + rest)
        self.assertEqual(json.loads(out)["status"], "succeeded")
        self.check_agreement(folder)

    def test_one_that_does_not_come_back_is_not_waited_for(self):
        run, said, folder = self.begin(self.islands(local=LOCAL + ", grace: 1s", steps=600), "step ")
        self.wait_for_step(folder / "west", 20)
        subprocess.run(["kill", "-KILL", re.search(r"west-0 pid (\d+)", said)[1]], check=True)
        out, rest = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, said + rest)
        self.assertEqual(self.steps_of(folder / "east")[-1], 600)
        self.assertEqual(json.loads(out)["status"], "succeeded")

    def test_a_stop_ends_all_with_the_same_weights(self):
        run, said, folder = self.begin(self.islands(steps=10**6, evaluate=0, snapshot=0), "step ")
        self.wait_for_step(folder / "west", 20)
        run.send_signal(signal.SIGINT)
        out, rest = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, said + rest)
        self.assertEqual(json.loads(out)["status"], "stopped")
        self.check_agreement(folder, evaluations=1)

    def paced(self, **fields):
        """A job of two datacenters, of which east is twice as fast."""
        job = self.islands(**fields)
        topology = self.topology(2)
        text = topology.read_text().replace("west-0, memory: 1GiB", "west-0, memory: 1GiB, speed: 2GFLOP/s, paced: true")
        text = text.replace("east-0, memory: 1GiB", "east-0, memory: 1GiB, speed: 4GFLOP/s, paced: true")
        paced = self.root / "paced.yaml"
        paced.write_text(text)
        job.write_text(job.read_text().replace(str(topology), str(paced)))
        return job

    def test_a_faster_datacenter_makes_more_steps(self):
        status, _, said, folder = self.run_job(self.paced(steps=30, evaluate=0, snapshot=0))
        self.assertEqual(status, 0, said)
        self.assertEqual([self.steps_of(folder / one)[-1] for one in ("east", "west")], [40, 20])
        self.check_agreement(folder)

    def test_resumes_where_each_was_at_its_own_pace(self):
        """From the checkpoint of either, whose steps are not the other's."""
        status, _, said, folder = self.run_job(self.paced(steps=30, evaluate=0, snapshot=30))
        self.assertEqual(status, 0, said)
        for one, step in (("east", 40), ("west", 20)):
            with self.subTest(of=one):
                job = self.paced(steps=60, evaluate=0, snapshot=0)
                checkpoint = folder / one / f"checkpoints/step-{step:08}"
                job.write_text(job.read_text().replace("checkpoints: {", f"checkpoints: {{resume: {checkpoint}, "))
                status, _, said, again = self.run_job(job)
                self.assertEqual(status, 0, said)
                self.assertEqual(self.steps_of(again / "east"), list(range(41, 81)))
                self.assertEqual(self.steps_of(again / "west"), list(range(21, 41)))
                self.check_agreement(again)

    def test_an_island_is_not_for_the_user_to_say(self):
        status, _, said, _ = self.run_job(self.islands(local=LOCAL + ", island: {index: 0, datacenters: [east, west]}"))
        self.assertNotEqual(status, 0)
        self.assertIn("spec.datacenters.island: is the scheduler's to say", said)


if __name__ == "__main__":
    unittest.main()
