"""What a run leaves behind: resumes bit for bit in another layout, and opens in other tools with the same loss."""
import json
import pathlib
import struct
import subprocess
import sys
import unittest

from cluster import ATOLL, GPT2, ClusterTest

REFERENCE = pathlib.Path(__file__).resolve().parent.parent / "reference"
sys.path.insert(0, str(REFERENCE))

HEADER_BYTES = 256 * 4


class Checkpoint(ClusterTest):
    def test_resumed_in_another_layout_it_learns_the_same(self):
        status, whole, stderr, folder = self.run_job(self.job(nodes=2, pp=2))
        self.assertEqual(status, 0, stderr)
        middle = folder / "checkpoints" / "step-00000010"
        reference = [line for line in self.losses(folder) if line["step"] > 10]
        job = self.job(nodes=4, dp=2, pp=2, resume=f", resume: {middle}")
        status, resumed, stderr, folder = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        self.assertEqual(self.losses(folder), reference)
        self.assertEqual(resumed["val_loss"], whole["val_loss"])

    def test_shared_out_or_not_it_is_resumed_by_either(self):
        for before, after in (({"nodes": 4, "dp": 4, "zero": 1}, {"nodes": 2, "pp": 2}),
                              ({"nodes": 4, "dp": 2, "pp": 2, "zero": 1}, {"nodes": 4, "dp": 4, "zero": 1}),
                              ({"nodes": 1}, {"nodes": 2, "dp": 2, "zero": 1}),
                              ({"nodes": 4, "dp": 2, "pp": 2, "zero": 2}, {"nodes": 2, "dp": 2}),
                              ({"nodes": 2, "dp": 2, "zero": 1}, {"nodes": 4, "dp": 4, "zero": 2}),
                              ({"nodes": 2, "dp": 2}, {"nodes": 4, "dp": 2, "pp": 2, "zero": 2}),
                              ({"nodes": 2, "dp": 2, "zero": 2}, {"nodes": 1})):
            with self.subTest(before=before, after=after):
                status, whole, stderr, folder = self.run_job(self.job(**before))
                self.assertEqual(status, 0, stderr)
                middle = folder / "checkpoints" / "step-00000010"
                reference = [line for line in self.losses(folder) if line["step"] > 10]
                status, resumed, stderr, folder = self.run_job(self.job(resume=f", resume: {middle}", **after))
                self.assertEqual(status, 0, stderr)
                self.assertEqual(self.losses(folder), reference)
                self.assertEqual(resumed["val_loss"], whole["val_loss"])

    def test_whoever_shared_sequences_it_is_resumed_by_others(self):
        for before, after in (({"nodes": 2, "cp": 2}, {"nodes": 1}), ({"nodes": 1}, {"nodes": 4, "cp": 4, "zero": 1}),
                              ({"nodes": 4, "cp": 2, "pp": 2, "zero": 1}, {"nodes": 2, "dp": 2})):
            with self.subTest(before=before, after=after):
                status, _, stderr, folder = self.run_job(self.job(**before))
                self.assertEqual(status, 0, stderr)
                middle = folder / "checkpoints" / "step-00000010"
                reference = [line for line in self.losses(folder) if line["step"] > 10]
                status, _, stderr, folder = self.run_job(self.job(resume=f", resume: {middle}", **after))
                self.assertEqual(status, 0, stderr)
                resumed = self.losses(folder)
                self.assertEqual([line["step"] for line in resumed], [line["step"] for line in reference])
                for ours, theirs in zip(resumed, reference):
                    for key in theirs:
                        self.assertAlmostEqual(ours[key] / theirs[key], 1, delta=1e-5)

    def test_a_tensor_in_slices_is_resumed_and_exported_whole(self):
        # A table of 3 pieces of 2^20 elements: no owner has all of it.
        wide = dict(family=GPT2.replace("vocab_size: 256", "vocab_size: 65536"), steps=4, evaluate=2, snapshot=2)
        status, whole, stderr, folder = self.run_job(self.job(**wide))
        self.assertEqual(status, 0, stderr)
        reference, model = self.losses(folder), (folder / "model" / "model.safetensors").read_bytes()
        status, _, stderr, folder = self.run_job(self.job(nodes=2, dp=2, pp=2, zero=1, **wide))
        self.assertEqual(status, 0, stderr)
        self.assertEqual(self.losses(folder), reference)
        self.assertEqual((folder / "model" / "model.safetensors").read_bytes(), model)
        middle = folder / "checkpoints" / "step-00000002"
        tensors = json.loads((middle / "manifest.json").read_text())["tensors"]
        self.assertEqual(len(tensors["wte.weight"]["slices"]), 2)
        for zero in (1, 2, 3):
            status, resumed, stderr, folder = self.run_job(
                self.job(nodes=4, dp=4, zero=zero, resume=f", resume: {middle}", **wide))
            self.assertEqual(status, 0, stderr)
            self.assertEqual(self.losses(folder), [line for line in reference if line["step"] > 2])
            self.assertEqual(resumed["val_loss"], whole["val_loss"])
        # And what was written where weights are shared out, too, by others.
        later = folder / "checkpoints" / "step-00000004"
        status, _, stderr, folder = self.run_job(self.job(nodes=2, dp=2, pp=2, resume=f", resume: {later}", **wide | dict(steps=6)))
        self.assertEqual(status, 0, stderr)
        onwards = self.losses(folder)
        status, _, stderr, folder = self.run_job(self.job(nodes=2, dp=2, zero=3, resume=f", resume: {later}",
                                                          more=", bucket_bytes: 100000", **wide | dict(steps=6)))
        self.assertEqual(status, 0, stderr)
        self.assertEqual(self.losses(folder), onwards)

    def test_what_ranks_shared_is_resumed_by_other_ranks_and_by_none(self):
        shared = {"nodes": 4, "dp": 2, "tp": 2, "zero": 1}
        status, _, stderr, folder = self.run_job(self.job(**shared))
        self.assertEqual(status, 0, stderr)
        middle = folder / "checkpoints" / "step-00000010"
        tensors = json.loads((middle / "manifest.json").read_text())["tensors"]
        self.assertEqual({tuple(map(tuple, s["ranges"])) for s in tensors["h.0.attn.c_attn.weight"]["slices"]},
                         {((0, 24), (48, 24), (96, 24)), ((24, 24), (72, 24), (120, 24))})
        self.assertNotIn("slices", tensors["h.0.ln_1.weight"])  # a copy is written once
        reference = [line for line in self.losses(folder) if line["step"] > 10]
        for after in (shared, {}, {"nodes": 4, "tp": 4}, {"nodes": 2, "pp": 2}):
            with self.subTest(after=after):
                status, _, stderr, folder = self.run_job(self.job(resume=f", resume: {middle}", **after))
                self.assertEqual(status, 0, stderr)
                losses = self.losses(folder)
                if after == shared:
                    self.assertEqual(losses, reference)
                for ours, theirs in zip(losses, reference, strict=True):
                    for key in theirs:
                        self.assertAlmostEqual(ours[key], theirs[key], delta=1e-4 * theirs[key])

    def test_what_feedback_holds_back_survives_a_restart(self):
        for codec in ("top-k:0.05", "power-sgd:2"):
            two, strips = {"nodes": 2, "dp": 2, "pp": 2}, {"nodes": 4, "dp": 4}
            for layout, after in (({"nodes": 2, "dp": 2}, strips), ({"nodes": 4, "dp": 2, "pp": 2}, two),
                                  ({"nodes": 2, "dp": 4}, two), (strips, two),
                                  ({"nodes": 2, "dp": 2, "more": ", bucket_bytes: 20000"}, two)):
                with self.subTest(codec=codec, **layout):
                    job = self.job(gradients=codec, **layout)
                    status, whole, stderr, folder = self.run_job(job)
                    self.assertEqual(status, 0, stderr)
                    middle = folder / "checkpoints" / "step-00000010"
                    reference = [line for line in self.losses(folder) if line["step"] > 10]
                    job = self.job(gradients=codec, resume=f", resume: {middle}", **layout)
                    status, resumed, stderr, folder = self.run_job(job)
                    self.assertEqual(status, 0, stderr)
                    self.assertEqual(self.losses(folder), reference)
                    self.assertEqual(resumed["val_loss"], whole["val_loss"])
                    status, other, stderr, _ = self.run_job(
                        self.job(gradients=codec, resume=f", resume: {middle}", **after))
                    self.assertEqual(status, 0, stderr)
                    self.assertLess(abs(other["val_loss"] - whole["val_loss"]) / whole["val_loss"], 0.05)

    def test_generate_is_deterministic(self):
        status, summary, stderr, folder = self.run_job(self.job(steps=5))
        self.assertEqual(status, 0, stderr)
        texts = [subprocess.run([ATOLL, "generate", "--checkpoint", source, "--prompt", "the ", "--tokens", "40"],
                                check=True, capture_output=True).stdout
                 for source in (summary["checkpoint"], folder, folder / "model", folder)]
        self.assertTrue(texts[0].startswith(b"the "))
        self.assertEqual(len(set(texts)), 1)

    def test_pytorch_finds_the_same_loss(self):
        try:
            import torch
            from safetensors.torch import load_file
        except ImportError as missing:
            self.skipTest(f"SKIPPED: {missing}; install python3-torch and safetensors")
        import compare
        status, summary, stderr, folder = self.run_job(self.job(nodes=4, dp=2, pp=2))
        self.assertEqual(status, 0, stderr)
        config = json.loads((folder / "model" / "config.json").read_text())
        weights = load_file(folder / "model" / "model.safetensors")
        loss = self.validation_loss(torch, compare, config, weights)
        print(f"validation loss: ours {summary['val_loss']:.7f}, PyTorch {loss:.7f}")
        self.assertLess(abs(loss - summary["val_loss"]) / loss, 1e-5)

    def test_other_readers_open_every_part(self):
        status, summary, stderr, _ = self.run_job(self.job(steps=5, pp=2))
        self.assertEqual(status, 0, stderr)
        parts = sorted(pathlib.Path(summary["checkpoint"]).glob("part-*.safetensors"))
        self.assertEqual(len(parts), 2)
        for part in parts:
            opened = subprocess.run([sys.executable, REFERENCE / "open_safetensors.py", part], capture_output=True,
                                    text=True)
            if opened.returncode == 77:
                self.skipTest(opened.stdout.strip())
            self.assertEqual(opened.returncode, 0, opened.stderr)

    def validation_loss(self, torch, compare, config, weights):
        """Mean over the windows that two evaluation rounds of 8 sequences read."""
        raw = next((self.root / "data").glob("validation-*.bin")).read_bytes()[HEADER_BYTES:]
        tokens = torch.tensor(struct.unpack(f"<{len(raw) // 2}H", raw))
        context = config["n_positions"]
        windows = (len(tokens) - 1) // context
        rows = [tokens[(i % windows) * context:(i % windows) * context + context + 1] for i in range(16)]
        batch = torch.stack(rows)
        with torch.no_grad():
            logits = compare.gpt2(config, weights, batch[:, :-1])
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), batch[:, 1:].flatten()).item()


if __name__ == "__main__":
    unittest.main(verbosity=2)
