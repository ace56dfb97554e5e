"""Bad input: one clear line that names where and what, exit status 2, nothing half written."""
import socket
import subprocess
import unittest

from cluster import ATOLL, ClusterTest


class Input(ClusterTest):
    def refused(self, command, *words, status=2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertRegex(lines[0], r"^E_[A-Z_]+: ")
        for word in words:
            self.assertIn(word, lines[0])
        return lines[0]

    def edited(self, old, new, **fields):
        job = self.job(**fields)
        text = job.read_text()
        self.assertIn(old, text)
        job.write_text(text.replace(old, new))
        return job

    def assert_job_refused(self, job, *words):
        for verb in ("plan", "run"):
            command = [ATOLL, verb, str(job)]
            folder = self.root / "never"
            if verb == "run":
                command += ["--run-dir", str(folder)]
            self.refused(command, *words)
            self.assertFalse(folder.exists())

    def test_unknown_field_names_the_nearest(self):
        self.assert_job_refused(self.edited("dp: 1", "dpp: 1"), "E_JOB_FIELD", "dpp", "'dp'", ".yaml:")

    def test_wrong_type(self):
        self.assert_job_refused(self.edited("seed: 7", "seed: seven"), "E_JOB_FIELD", "seed")

    def test_zero_replicas(self):
        self.assert_job_refused(self.edited("dp: 1", "dp: 0"), "dp")

    def test_more_stages_than_layers(self):
        self.assert_job_refused(self.job(pp=16), "E_JOB_VALUE", "16", "10 layers")

    def test_heads_that_do_not_divide(self):
        self.assert_job_refused(self.edited("n_head: 4", "n_head: 5"), "E_JOB_VALUE", "48", "5")

    def test_unknown_precision(self):
        self.assert_job_refused(self.job(training=", precision: fp8"), "E_JOB_VALUE", ".yaml:", "spec.training.precision",
                                "'fp8' is not one of fp32, bf16")

    def test_missing_data(self):
        self.assert_job_refused(self.edited(str(self.root / "data"), str(self.root / "nowhere")), "E_DATA", "nowhere")

    def test_missing_descriptor(self):
        self.refused([ATOLL, "run", str(self.root / "none.yaml")], "E_PATH", "none.yaml")

    def test_not_yaml(self):
        job = self.job()
        job.write_text("spec: [")
        self.assert_job_refused(job, "E_JOB_SYNTAX", ".yaml:")

    def test_memory_that_does_not_suffice(self):
        job = self.job()
        topology = self.root / "small.yaml"
        topology.write_text(self.topology(1).read_text().replace("1GiB", "1MiB"))
        job.write_text(job.read_text().replace(str(self.topology(1)), str(topology)))
        self.assert_job_refused(job, "E_NO_FIT", "east-0")

    def test_damaged_shard(self):
        broken = self.root / "broken"
        subprocess.run(["cp", "-r", self.root / "data", broken], check=True)
        shard = broken / "train-00000.bin"
        shard.write_bytes(shard.read_bytes()[:-100])
        job = self.edited(str(self.root / "data"), str(broken))
        self.refused([ATOLL, "run", str(job), "--run-dir", str(self.root / "never")], "E_DATA", "train-00000.bin")

    def test_unreadable_checkpoint(self):
        job = self.job(resume=f", resume: {self.root}/no-checkpoint")
        self.refused([ATOLL, "run", str(job), "--run-dir", str(self.root / "never")], "no-checkpoint")
        self.refused([ATOLL, "generate", "--checkpoint", str(self.root / "no-checkpoint"), "--prompt", "a"],
                     "no-checkpoint")

    def test_truncated_safetensors(self):
        status, summary, stderr, _ = self.run_job(self.job(steps=5))
        self.assertEqual(status, 0, stderr)
        part = next((self.root / f"run-{self.runs}" / "checkpoints" / "step-00000005").glob("part-*"))
        part.write_bytes(part.read_bytes()[:-8])
        out = self.root / "exported"
        self.refused([ATOLL, "export", "--checkpoint", summary["checkpoint"], str(out)], "E_CKPT", part.name)
        self.assertFalse(out.exists())

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            command, _ = self.command(self.job(), "--port", str(port))
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("E_ADDRESS_IN_USE", done.stderr)
        self.assertIn(str(port), done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_usage(self):
        self.refused([ATOLL, "run"], "E_USAGE", "job")
        self.refused([ATOLL, "frobnicate"], "E_USAGE", "--help")


if __name__ == "__main__":
    unittest.main(verbosity=2)
