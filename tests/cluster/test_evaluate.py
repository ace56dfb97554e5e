"""`atoll evaluate` on a finished run measures what the run's last evaluation measured, and says what it cannot do."""
import json
import math
import struct
import subprocess
import unittest

from cluster import ATOLL, LLAMA, ClusterTest

# What two evaluation rounds of 8 leaves with a sequence each read.
AS_THE_RUN = ("--context", "32", "--windows", "16")


class Evaluate(ClusterTest):
    def evaluate(self, *options):
        done = subprocess.run([ATOLL, "evaluate", *map(str, options), "--json"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, options, *words):
        done = subprocess.run([ATOLL, "evaluate", *map(str, options)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def finished(self, nodes=1, **fields):
        status, summary, stderr, folder = self.run_job(self.job(nodes=nodes, **fields))
        self.assertEqual(status, 0, stderr)
        return summary, folder

    def held_out_tokens(self, data):
        raw = b"".join(shard.read_bytes()[1024:] for shard in sorted(data.glob("validation-*.bin")))
        return struct.unpack(f"<{len(raw) // 2}H", raw)

    def test_the_loss_is_that_of_the_run(self):
        data = self.root / "data"
        for fields in ({}, {"nodes": 2, "pp": 2, "family": LLAMA}, {"training": ", precision: bf16"},
                       {"training": ", precision: bf16", "family": LLAMA}):
            with self.subTest(**fields):
                summary, folder = self.finished(steps=10, **fields)
                precision = ("--precision", "bf16") if "training" in fields else ()
                for model in (folder, folder / "model", summary["checkpoint"]):
                    for threads in (1, 3):
                        found = self.evaluate(model, "--data", data, *AS_THE_RUN, *precision, "--threads", threads)
                        self.assertAlmostEqual(found["loss"], summary["val_loss"], delta=1e-6 * found["loss"])
                        self.assertEqual((found["tokens"], found["windows"], found["context"]), (512, 16, 32))
                        self.assertAlmostEqual(found["perplexity"], math.exp(found["loss"]), delta=1e-9 * found["perplexity"])
                        self.assertAlmostEqual(found["bits_per_byte"], found["loss"] / math.log(2), places=9)

    def test_all_of_the_held_out_text_is_read_once(self):
        _, folder = self.finished(steps=5)
        tokens = self.held_out_tokens(self.root / "data")
        whole = self.evaluate(folder, "--data", self.root / "data")
        self.assertEqual((whole["context"], whole["windows"]), (32, (len(tokens) - 1) // 32))
        self.assertEqual(whole["tokens"], whole["windows"] * 32)
        # Twice around is the same mean.
        twice = self.evaluate(folder, "--data", self.root / "data", "--windows", 2 * whole["windows"])
        self.assertAlmostEqual(twice["loss"], whole["loss"], places=9)
        # Less context, more to guess: it is another figure.
        self.assertNotEqual(self.evaluate(folder, "--data", self.root / "data", "--context", 4)["loss"], whole["loss"])

    def test_bits_per_byte_count_the_bytes_of_tokens(self):
        data = self.root / "pairs"
        subprocess.run([ATOLL, "data", "prepare", self.root / "text.txt", data, "--tokenizer", "train:400"], check=True,
                       stdout=subprocess.DEVNULL)
        job = self.job(steps=10, family=LLAMA.replace("vocab_size: 256", "vocab_size: 400"))
        job.write_text(job.read_text().replace(str(self.root / "data"), str(data)))
        status, summary, stderr, folder = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        self.assertAlmostEqual(self.evaluate(folder, "--data", data, *AS_THE_RUN)["loss"], summary["val_loss"], places=6)
        whole = self.evaluate(folder, "--data", data)
        # In tokenizer.json a byte is a character.
        sizes = {number: len(text) for text, number in
                 json.loads((data / "tokenizer.json").read_text())["model"]["vocab"].items()}
        read = self.held_out_tokens(data)[1:whole["tokens"] + 1]
        self.assertEqual(whole["bytes"], sum(sizes[token] for token in read))
        self.assertGreater(whole["bytes"], 1.5 * whole["tokens"])
        self.assertAlmostEqual(whole["bits_per_byte"],
                               whole["loss"] * whole["tokens"] / whole["bytes"] / math.log(2), places=9)
        other = self.root / "other-pairs"
        subprocess.run([ATOLL, "data", "prepare", self.root / "text.txt", other, "--tokenizer", "train:300"], check=True,
                       stdout=subprocess.DEVNULL)
        for wrong in (other, self.root / "data"):
            self.refused([folder, "--data", wrong], "E_DATA", wrong, "another tokenizer", folder / "tokenizer.json")

    def test_what_does_not_fit_is_refused(self):
        _, folder = self.finished(steps=5)
        data = self.root / "data"
        self.refused([folder, "--data", data, "--context", 33], "E_USAGE", "--context", "33", "32")
        self.refused([folder, "--data", data, "--precision", "fp8"], "E_USAGE", "--precision", "fp8")
        self.refused([folder, "--data", self.root / "nowhere"], "E_DATA", "nowhere")
        self.refused([self.root / "nowhere", "--data", data], "nowhere")
        short = self.root / "short.txt"
        short.write_text("# one\nabc\n# two\ndefghi\n")
        subprocess.run([ATOLL, "data", "prepare", short, self.root / "short"], check=True, stdout=subprocess.DEVNULL)
        self.refused([folder, "--data", self.root / "short"], "E_DATA", "short", "--context")
        self.assertGreater(self.evaluate(folder, "--data", self.root / "short", "--context", 2)["loss"], 0)
        pairs = self.root / "many"
        subprocess.run([ATOLL, "data", "prepare", self.root / "text.txt", pairs, "--tokenizer", "train:300"], check=True,
                       stdout=subprocess.DEVNULL)
        self.refused([folder / "model", "--data", pairs], "E_DATA", "300", "256")

    def test_lines_are_held_against_lines(self):
        ours, theirs = self.root / "ours", self.root / "theirs"
        ours.write_text("the cat sat on the mat\nabc\n")
        theirs.write_text("the cat sat on a mat\nabd")
        found = self.evaluate("--hypotheses", ours, "--references", theirs)
        self.assertEqual(found["lines"], 2)
        self.assertTrue(0 < found["bleu"] < 100 and 0 < found["chrf"] < 100, found)
        same = self.evaluate("--hypotheses", theirs, "--references", theirs)
        self.assertAlmostEqual(same["chrf"], 100)
        self.assertAlmostEqual(same["bleu"], 100)
        ours.write_text("one\n")
        self.refused(["--hypotheses", ours, "--references", theirs], "E_DATA", "has 1 lines", "has 2")
        ours.write_bytes(b"one\ncaf\xe9\n")
        self.refused(["--hypotheses", ours, "--references", theirs], "E_DATA", "ours:2", "UTF-8")
        ours.write_text("")
        self.refused(["--hypotheses", ours, "--references", ours], "E_DATA", "no line")
        self.refused(["--hypotheses", ours, "--references", self.root / "nowhere"], "E_PATH", "nowhere")
        for command in ([], ["--hypotheses", ours], ["--data", ours], [ours], [ours, "--references", ours],
                        [ours, "--data", ours, "--hypotheses", ours, "--references", ours]):
            self.refused(command, "E_USAGE", "MODEL --data", "--hypotheses")


if __name__ == "__main__":
    unittest.main(verbosity=2)
