"""Jobs on processors and on devices of plug-ins. "twin" (tests/plugin) has memory that faults when the host follows its
addresses, works behind a queue, and computes what the processor computes: a missing copy ends the process, a missing wait
changes the losses."""
import json
import re
import unittest

from cluster import ATOLL, GPT2, LLAMA, TOPOLOGY, ClusterTest


class Devices(ClusterTest):
    def topology(self, devices):
        """A node for each device, half of them in each of two datacenters."""
        half = (len(devices) + 1) // 2
        datacenters = []
        for name, some in (("east", devices[:half]), ("west", devices[half:])):
            nodes = [f"{{name: {name}-{i}, memory: 1GiB, speed: 40GFLOP/s, device: '{device}'}}" for i, device in enumerate(some)]
            if nodes:
                datacenters.append(f"    - {{name: {name}, nodes: [{', '.join(nodes)}]}}")
        lines = "{between: [east, west], rate: 1Gbit/s, roundTrip: 1ms}" if len(datacenters) > 1 else ""
        path = self.root / f"topology-{self.runs}.yaml"
        path.write_text(TOPOLOGY.format(datacenters="\n".join(datacenters), lines=lines))
        return path

    def train(self, devices, **fields):
        status, _, stderr, folder = self.run_job(self.job(nodes=devices, **fields))
        self.assertEqual(status, 0, stderr)
        return self.losses(folder), folder

    def refused(self, devices, *options, **fields):
        status, _, stderr, _ = self.run_job(self.job(nodes=devices, **fields), *options)
        self.assertEqual(status, 2, stderr)
        return stderr

    def same_on(self, devices, **fields):
        expected, _ = self.train(["cpu"] * len(devices), **fields)
        losses, folder = self.train(devices, **fields)
        self.assertEqual(losses, expected)
        return folder

    def test_mixed_devices_train_with_the_same_bits(self):
        dropout = ", resid_pdrop: 0.1, attn_pdrop: 0.1, embd_pdrop: 0.1"
        mixed, twins = ["cpu", "twin:0"], ["twin:0", "twin:1"]
        for devices, fields in [
                (["twin:0"], dict(model=dropout)),
                (mixed, dict(pp=2, model=dropout)),
                (mixed[::-1], dict(pp=2, schedule="zero-bubble", family=LLAMA)),
                (mixed, dict(pp=2, schedule="interleaved:2", recompute="full")),
                (mixed, dict(pp=2, codec="int8+zstd", training=", precision: bf16")),
                (mixed, dict(dp=2, zero=1)),
                (mixed, dict(dp=2, zero=2, training=", precision: bf16", weights="bf16")),
                (mixed, dict(dp=2, zero=1, family=LLAMA)),
                (mixed, dict(dp=2, zero=3, more=", bucket_bytes: 20000")),
                (twins, dict(dp=2, zero=3, more=", bucket_bytes: 20000", training=", precision: bf16")),
                (twins, dict(dp=2, more=", bucket_bytes: 20000")),
                (mixed, dict(cp=2, zero=1)),
                (twins, dict(dp=2, codec="int8+zstd")),
                (twins, dict(dp=2, codec="bf16+zstd", gradients="top-k:0.05")),
                (twins, dict(tp=2, family=LLAMA)),
                (["cpu", "twin:0", "twin:1", "cpu"], dict(dp=2, pp=2, zero=1)),
                (["cpu", "cpu", "twin:0", "twin:1"], dict(tp=2, pp=2))]:
            with self.subTest(devices=devices, **fields):
                self.same_on(devices, **fields)

    def test_a_teacher_and_its_student(self):
        """Noise would differ, all else has the same bits."""
        _, model = self.train(["cpu"], steps=20)
        learnt = []
        for devices in (["cpu", "cpu"], ["twin:0", "twin:1"]):
            student = self.job(nodes=devices, evaluate=0, snapshot=0)
            student.write_text(student.read_text() + "  distillation: {teachers: [{job: wise}]}\n"
                               "  placement: {datacenters: [west]}\n")
            teacher = self.root / f"wise-{self.runs}.yaml"
            teacher.write_text(f"""apiVersion: atoll.dev/v1
kind: TeacherService
metadata: {{name: wise}}
spec:
  topology: {self.root}/topology-{self.runs}.yaml
  placement: {{datacenters: [east]}}
  model: {{from: {model}}}
  serves: {{jobs: [test]}}
""")
            status, _, stderr, folder = self.run_job(teacher, str(student))
            self.assertEqual(status, 0, stderr)
            lines = [line for line in self.metrics(folder / "test") if "loss" in line]
            self.assertTrue(all(line["taught"] == 1 for line in lines))
            learnt.append([(line["loss"], line["distillation_loss"], line["gradient_norm"]) for line in lines])
        self.assertEqual(*learnt)

    def test_a_checkpoint_goes_from_one_device_to_the_other(self):
        for first, second in ((["cpu"], ["twin:0"]), (["twin:0"], ["cpu"])):
            with self.subTest(first=first):
                whole, folder = self.train(first)
                checkpoint = folder / "checkpoints/step-00000010"
                rest, _ = self.train(second, resume=f", resume: {checkpoint}")
                self.assertEqual(rest, [line for line in whole if line["step"] > 10])

    def test_the_plan_says_what_lies_where(self):
        _, folder = self.train(["cpu", "twin:1"], pp=2)
        text = (folder / "plan.txt").read_text()
        self.assertIn("no: devices of several kinds compute", text)
        self.assertRegex(text, r"node west-0 .*, memory .* of 1.0 GiB and .* of the host, on twin:1")
        plan = json.loads((folder / "plan.json").read_text())
        cpu, twin = plan["nodes"]
        self.assertEqual((cpu["device"], twin["device"]), ("cpu", "twin:1"))
        self.assertEqual(cpu["hostMemoryNeeded"], 0)
        self.assertGreater(twin["hostMemoryNeeded"], 0)
        self.assertGreater(twin["memoryNeeded"], 0)
        self.assertFalse(plan["reproducible"])
        log = (folder / "logs/west-0.log").read_text()
        self.assertRegex(log, r"tensors took at most [0-9.]+ \S+ of twin:1 and [0-9.]+ \S+ of the host")

    def test_what_cannot_be_is_refused_before_anything_starts(self):
        for devices, options, fields, said in [
                (["cpu", "twin:0"], [], dict(dp=2), r"E_NO_FIT: .*add zero_stage: 1, so that each weight has one owner"),
                (["cpu", "twin:0"], [], dict(tp=2), r"E_NO_FIT: .*ranks must be on devices of one kind"),
                (["twin:2"], [], {}, r"E_NO_FIT: device twin:2: this machine has 2 of them"),
                (["apart:0"], [], {}, r"E_NO_FIT: device apart: has no kernels for .*layer_norm for f32"),
                (["nothere:0"], [], {}, r"E_PATH: device nothere:0: there is no plug-in .*libatoll_nothere.so; build it"),
                (["twin:0"], ["--plugins", str(self.root)], {}, r"E_PATH: device twin:0: there is no plug-in"),
                (["../x:0"], [], {}, r"E_JOB_VALUE: .*'../x:0' is no device; cpu, or")]:
            with self.subTest(devices=devices, options=options):
                self.assertRegex(self.refused(devices, *options, **fields), said)

    def test_a_plug_ins_device_needs_a_speed(self):
        path = self.topology(["twin:0"])
        path.write_text(path.read_text().replace(", speed: 40GFLOP/s", ""))
        job = self.job(nodes=["cpu"])
        job.write_text(re.sub(r"topology: \S+", f"topology: {path}", job.read_text()))
        status, _, stderr, _ = self.run_job(job)
        self.assertEqual(status, 2)
        self.assertIn("nothing is known of how fast twin:0 is; add speed", stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
