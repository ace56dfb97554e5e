"""bf16 in jobs: the same bits on every layout, near the losses of fp32, and nothing lost in a checkpoint."""
import json
import pathlib
import struct
import subprocess
import unittest

from cluster import ATOLL, ClusterTest
from test_layouts import LAYOUTS

BF16 = ", precision: bf16"


class Precision(ClusterTest):
    def train(self, job):
        status, summary, stderr, folder = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        self.assertEqual(summary["status"], "succeeded")
        return self.losses(folder), summary, folder

    def bf16(self, nodes=1, **fields):
        return self.job(nodes=nodes, training=BF16, **fields)

    def test_losses_are_bit_identical_over_every_layout(self):
        reference, _, _ = self.train(self.bf16(clip=0.5))
        self.assertEqual(len(reference), 22)  # 20 steps, 2 evaluations
        for nodes, dp, pp in LAYOUTS[1:]:
            with self.subTest(processes=nodes, dp=dp, pp=pp):
                losses, _, _ = self.train(self.bf16(nodes, clip=0.5, dp=dp, pp=pp))
                self.assertEqual(losses, reference)

    def test_dropout_does_not_depend_on_the_layout(self):
        model = ", embd_pdrop: 0.1, attn_pdrop: 0.1, resid_pdrop: 0.1"
        reference, _, _ = self.train(self.bf16(model=model, steps=5))
        self.assertEqual(self.train(self.bf16(4, model=model, steps=5, dp=2, pp=2))[0], reference)

    def test_losses_stay_near_those_of_fp32(self):
        wide, _, _ = self.train(self.job())
        narrow, _, _ = self.train(self.bf16())
        worst = max(abs(a[key] - b[key]) / a[key]
                    for a, b in zip(wide, narrow, strict=True) for key in ("loss", "validation_loss") if key in a)
        print(f"bf16: largest relative difference of a loss over 20 steps {worst:.2e}")
        self.assertGreater(worst, 0)
        self.assertLess(worst, 1e-3)

    def test_codecs_round_no_bf16(self):
        # The gradients keep every bit; activations, their gradients and the tied weights are bf16 already.
        plain, before, _ = self.train(self.bf16(2, pp=2))
        job = self.bf16(2, pp=2, weights="bf16+zstd")
        text = job.read_text()
        self.assertIn("activations: none", text)
        job.write_text(text.replace("activations: none", "activations: bf16+zstd"))
        packed, after, _ = self.train(job)
        self.assertEqual(packed, plain)
        self.assertLess(after["wire_bytes"], before["wire_bytes"])

    def test_resumed_in_another_layout_it_learns_the_same(self):
        whole, _, folder = self.train(self.bf16(2, pp=2))
        middle = folder / "checkpoints" / "step-00000010"
        resumed, _, _ = self.train(self.bf16(4, dp=2, pp=2, resume=f", resume: {middle}"))
        self.assertEqual(resumed, [line for line in whole if line["step"] > 10])

    def test_either_precision_goes_on_from_the_other_s_checkpoint(self):
        for first, second in ((BF16, ""), ("", BF16)):
            with self.subTest(resumed_in=second or "fp32"):
                whole, _, folder = self.train(self.job(training=first))
                middle = folder / "checkpoints" / "step-00000010"
                resumed, _, _ = self.train(self.job(training=second, resume=f", resume: {middle}"))
                after = next(line for line in whole if line["step"] == 11)
                self.assertEqual(resumed[0]["step"], 11)
                self.assertNotEqual(resumed[0]["loss"], after["loss"])
                self.assertLess(abs(resumed[0]["loss"] / after["loss"] - 1), 1e-3)

    def test_checkpoints_hold_the_masters(self):
        _, summary, folder = self.train(self.bf16(pp=2, steps=5))
        part = next(pathlib.Path(summary["checkpoint"]).glob("part-00000*"))
        raw = part.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        self.assertEqual({entry["dtype"] for name, entry in header.items() if name != "__metadata__"}, {"F32"})
        begin, end = header["wte.weight"]["data_offsets"]
        words = struct.unpack(f"<{(end - begin) // 4}I", raw[8 + size + begin:8 + size + end])
        self.assertTrue(any(word & 0xFFFF for word in words), "rounded to bf16")
        exported = subprocess.run([ATOLL, "export", "--checkpoint", summary["checkpoint"], folder / "out"],
                                  capture_output=True, text=True)
        self.assertEqual(exported.returncode, 0, exported.stderr)
        texts = [subprocess.run([ATOLL, "generate", "--checkpoint", source, "--prompt", "the ", "--tokens", "20"],
                                check=True, capture_output=True).stdout for source in (folder, folder / "out")]
        self.assertTrue(texts[0].startswith(b"the "))
        self.assertEqual(texts[0], texts[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
