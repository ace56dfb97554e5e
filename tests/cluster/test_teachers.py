"""Teachers that serve what they think of the next token, and a student elsewhere that learns from it."""
import json
import re
import signal
import subprocess
import time
import unittest

from cluster import ATOLL, GPT2, ClusterTest, make_pairs

TEACHER = """apiVersion: atoll.dev/v1
kind: TeacherService
metadata: {{name: {name}}}
spec:
  topology: {topology}
  placement: {{datacenters: [{datacenter}]}}
  model: {{from: {model}}}
  serves: {{jobs: [{jobs}]{serves}}}
  peerTimeout: 3s
"""


class Teachers(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        test = cls("learn")
        status, _, said, cls.model = test.run_job(test.job(steps=60, evaluate=0, snapshot=0))
        assert status == 0, said

    def learn(self):
        """For setUpClass."""

    def teacher(self, name="wise", jobs="test", serves="", model=None, nodes=2, datacenter="east"):
        path = self.root / f"{name}-{self.runs}.yaml"
        path.write_text(TEACHER.format(name=name, topology=self.topology(nodes), datacenter=datacenter,
                                       model=model or self.model, jobs=jobs, serves=serves))
        return path

    def student(self, teachers="{job: wise, weight: 0.5}", more="", nodes=2, datacenter="west", **fields):
        path = self.job(nodes=nodes, **{"evaluate": 0, "snapshot": 0, **fields})
        path.write_text(path.read_text() + f"  distillation: {{teachers: [{teachers}]{more}}}\n"
                        f"  placement: {{datacenters: [{datacenter}]}}\n")
        return path

    def run_all(self, *jobs, timeout=120):
        """(exit status, summaries by job, stderr, folder)"""
        command, folder = self.command(jobs[0], *map(str, jobs[1:]))
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        summaries = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return done.returncode, {one["job"]: one for one in summaries}, done.stderr, folder

    def steps(self, folder):
        return [line for line in self.metrics(folder) if "loss" in line]

    def test_a_student_learns_from_a_teacher(self):
        status, summaries, said, folder = self.run_all(self.teacher(), self.student())
        self.assertEqual(status, 0, said)
        steps = self.steps(folder / "test")
        self.assertEqual(len(steps), 20)
        self.assertTrue(all(line["taught"] == 1 for line in steps), steps)
        self.assertLess(steps[-1]["distillation_loss"], 0.8 * steps[0]["distillation_loss"])
        served = summaries["wise"]["served"]
        self.assertEqual(summaries["wise"]["status"], "succeeded")
        self.assertEqual(served["positions"], 20 * 8 * 32)
        self.assertEqual(served["jobs"], {"test": 20 * 8 * 32})
        self.assertEqual(served["answer_bytes"], sum(line["answer_bytes"] for line in steps))
        self.assertLess(served["answer_bytes"], served["logits_bytes"] / 4)
        self.assertNotIn("epsilon", served)
        # What it has learnt is more than the data alone would have taught it.
        alone = self.student(teachers="{job: wise, weight: 0.000001}")
        status, _, said, folder = self.run_all(self.teacher(), alone)
        self.assertEqual(status, 0, said)
        self.assertGreater(self.steps(folder / "test")[-1]["distillation_loss"], steps[-1]["distillation_loss"])

    def test_nobody_is_asked_behind_the_last_step_of_lessons(self):
        status, summaries, said, folder = self.run_all(self.teacher(), self.student(more=", until: 8"))
        self.assertEqual(status, 0, said)
        bytes_of = [line["answer_bytes"] for line in self.steps(folder / "test")]
        self.assertEqual([count > 0 for count in bytes_of], [True] * 8 + [False] * 12)
        self.assertEqual(summaries["wise"]["served"]["positions"], 8 * 8 * 32)

    def test_every_layout_of_a_student(self):
        losses = []
        for nodes, fields in ((2, {}), (2, {"dp": 2}), (4, {"dp": 2}), (4, {"pp": 2}), (4, {"pp": 2, "schedule": "zero-bubble"}),
                              (4, {"dp": 2, "zero": 3})):
            with self.subTest(**fields):
                status, _, said, folder = self.run_all(self.teacher(nodes=nodes), self.student(nodes=nodes, **fields))
                self.assertEqual(status, 0, said)
                losses.append([(line["loss"], line["distillation_loss"], line["taught"])
                               for line in self.steps(folder / "test")])
                for ours, first in zip(losses[-1], losses[0], strict=True):
                    for one, other in zip(ours, first):
                        self.assertAlmostEqual(one, other, delta=1e-3)

    def test_each_side_of_a_pair(self):
        lines, pairs = self.root / "lines", self.root / "pairs"
        make_pairs(lines)
        subprocess.run([ATOLL, "data", "prepare", lines, pairs, "--pairs", "en-es", "--window", "32", "--tokenizer", "train:300"],
                       check=True, stdout=subprocess.DEVNULL)
        family = GPT2.replace("vocab_size: 256", "vocab_size: 300")

        def with_pairs(job):
            job.write_text(job.read_text().replace(str(self.root / "data"), str(pairs)))
            return job

        status, _, said, model = self.run_job(with_pairs(self.job(family=family, steps=5, evaluate=0, snapshot=0)))
        self.assertEqual(status, 0, said)
        teachers = "{job: wise}, {job: wise, side: source}"
        student = with_pairs(self.student(teachers, ", values: bf16, topK: 8, temperature: 2", family=family))
        status, summaries, said, folder = self.run_all(self.teacher(model=model), student)
        self.assertEqual(status, 0, said)
        self.assertTrue(all(line["taught"] == 1 for line in self.steps(folder / "test")))
        self.assertGreater(summaries["wise"]["served"]["cached"], 0)
        # Of another tokenizer it would learn nonsense.
        status, _, said, _ = self.run_all(self.teacher(), with_pairs(self.student(family=family)))
        self.assertNotEqual(status, 0)
        self.assertIn("E_REFUSED: teacher wise: has another vocabulary than job test", said)

    def test_who_is_not_listed_is_refused(self):
        status, summaries, said, _ = self.run_all(self.teacher(jobs="other, friends"), self.student())
        self.assertEqual(status, 4, said)
        self.assertIn("E_REFUSED: teacher wise: does not serve job test; its spec.serves.jobs lists other, friends", said)
        self.assertEqual(summaries["wise"]["served"], {})
        status, _, said, _ = self.run_all(self.student())
        self.assertEqual(status, 4, said)
        self.assertIn("teacher wise: is no TeacherService that runs or waits here", said)
        status, _, said, _ = self.run_all(self.teacher(serves=", topK: 4"), self.student())
        self.assertEqual(status, 4, said)
        self.assertIn("says at most 4 tokens of a position, job test asks for 16", said)

    def test_a_teacher_keeps_its_node(self):
        status, _, said, _ = self.run_all(self.teacher(), self.student(datacenter="east"))
        self.assertEqual(status, 4, said)
        self.assertIn("E_REFUSED: node east-0: is teacher wise's, who keeps it; place job test in other datacenters", said)
        status, _, said, _ = self.run_all(self.teacher(jobs="test"), self.teacher(name="wiser"), self.student())
        self.assertEqual(status, 4, said)
        self.assertIn("place job wiser in other datacenters", said)

    def test_noise_is_accounted_for_and_ends(self):
        serves = ", clip: 20, noise: 400, delta: 1e-5, epsilon: 1"
        status, summaries, said, folder = self.run_all(self.teacher(serves=serves), self.student())
        self.assertEqual(status, 0, said)
        served = summaries["wise"]["served"]
        self.assertAlmostEqual(served["rho"], 2 * served["released"] / 400**2, delta=1e-9)
        self.assertLessEqual(served["epsilon"], 1)
        self.assertGreater(served["refused"], 0)
        taught = [line["taught"] for line in self.steps(folder / "test")]
        self.assertEqual((taught[0], taught[-1]), (1, 0))
        self.assertIn("spec.serves.epsilon", (folder / "logs/west-0.log").read_text())
        # Started again it has nothing left to let out.
        status, again, said, folder = self.run_all(self.teacher(serves=serves), self.student())
        self.assertEqual(status, 0, said)
        self.assertEqual((again["wise"]["served"]["rho"], again["wise"]["served"]["positions"]), (served["rho"], 0))
        self.assertTrue(all(line["taught"] == 0 for line in self.steps(folder / "test")))

    def test_a_lost_teacher_stops_nobody(self):
        student = self.student(more=", patience: 1s", steps=4000)
        command, folder = self.command(self.teacher(), str(student))
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = ""
        while "test: step " not in said:
            line = run.stderr.readline()
            self.assertTrue(line, said)
            said += line
        subprocess.run(["kill", "-KILL", re.search(r"east-0 pid (\d+)", said)[1]], check=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.steps(folder / "test")[-1]["taught"] > 0:
            time.sleep(0.1)
        at = self.steps(folder / "test")[-1]["step"]
        while time.monotonic() < deadline and self.steps(folder / "test")[-1]["step"] < at + 50:
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        out, rest = run.communicate(timeout=60)
        summaries = {one["job"]: one for one in map(json.loads, out.splitlines())}
        self.assertEqual(summaries["test"]["status"], "stopped", said + rest)
        self.assertEqual(summaries["wise"]["status"], "failed", said + rest)
        steps = self.steps(folder / "test")
        self.assertEqual(steps[0]["taught"], 1)
        self.assertEqual(steps[-1]["taught"], 0)
        self.assertGreater(steps[-1]["step"], at + 49)

    def test_plans_say_what_is_served_and_asked(self):
        for job, texts in ((self.teacher(serves=", clip: 10, noise: 50"), ("serves        test; nobody else", "rho 0.0008 a position")),
                           (self.student(), ("teacher       wise: at most", "reproducible  no: what teachers say"))):
            done = subprocess.run([ATOLL, "plan", job], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            for text in texts:
                self.assertIn(text, done.stdout)
        done = subprocess.run([ATOLL, "simulate", self.teacher()], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is a TeacherService, which trains nothing", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
