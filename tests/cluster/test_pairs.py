"""Pairs of lines: a model learns to translate from them, on any layout, and `atoll evaluate` says how well it does."""
import json
import subprocess
import unittest

from cluster import ATOLL, GPT2, LLAMA, ClusterTest, make_pairs


class Pairs(ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lines, cls.pairs = cls.root / "lines", cls.root / "pairs"
        make_pairs(cls.lines)
        cls.prepare(cls.lines, cls.pairs)

    @staticmethod
    def prepare(lines, to, *options):
        subprocess.run([ATOLL, "data", "prepare", lines, to, "--pairs", "en-es", "--window", "32", "--tokenizer", "train:300",
                        *options], check=True, stdout=subprocess.DEVNULL)

    def job_of(self, data=None, family=GPT2, **fields):
        job = self.job(family=family.replace("vocab_size: 256", "vocab_size: 300"), **fields)
        job.write_text(job.read_text().replace(str(self.root / "data"), str(data or self.pairs)))
        return job

    def trained(self, **fields):
        status, summary, stderr, folder = self.run_job(self.job_of(**fields))
        self.assertEqual(status, 0, stderr)
        return summary, folder

    def evaluate(self, *options):
        done = subprocess.run([ATOLL, "evaluate", *map(str, options), "--json"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def translate(self, model, *options):
        return self.evaluate(model, "--translate", self.lines / "test.en", "--references", self.lines / "test.es", *options)

    def refused(self, command, *words):
        done = subprocess.run([ATOLL, *map(str, command)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def test_a_model_learns_to_translate(self):
        for family in (GPT2, LLAMA):
            with self.subTest(family=family.split(",")[0]):
                _, begun = self.trained(steps=5, family=family)
                summary, folder = self.trained(nodes=2, pp=2, steps=700, evaluate=0, snapshot=0, family=family)
                self.assertLess(self.translate(begun)["chrf"], 50)
                scores = self.translate(folder)
                self.assertGreater(scores["chrf"], 90, scores)
                self.assertEqual(scores["lines"], 40)
                output = self.root / "translations"
                for options, lines in (((), 40), (("--limit", 7), 7), (("--limit", 100, "--threads", 2), 40)):
                    found = self.translate(folder / "model", "--output", output, *options)
                    written = output.read_text(encoding="utf-8").splitlines()
                    self.assertEqual((len(written), found["lines"]), (lines, lines))
                    references = self.root / "references"
                    references.write_text("".join((self.lines / "test.es").read_text(encoding="utf-8")
                                                  .splitlines(keepends=True)[:lines]), encoding="utf-8")
                    self.assertEqual(self.evaluate("--hypotheses", output, "--references", references), found)
                self.translate(folder, "--tokens", 1, "--output", output)
                self.assertLess(max(map(len, output.read_text(encoding="utf-8").splitlines())), len("tierra luz"))
                loss = self.evaluate(folder, "--data", self.pairs, "--windows", 16)
                self.assertAlmostEqual(loss["loss"], summary["val_loss"], delta=1e-6 * loss["loss"])
                self.assertLess(loss["tokens"], loss["windows"] * 32 * 0.6)

    def test_losses_agree_on_every_layout(self):
        _, folder = self.trained(steps=10)
        reference = self.losses(folder)
        for nodes, exact, fields in ((2, True, {"pp": 2}), (2, True, {"dp": 2}), (4, True, {"dp": 2, "pp": 2, "zero": 1}),
                                     (2, False, {"tp": 2}), (2, False, {"dp": 2, "cp": 2})):
            with self.subTest(**fields):
                _, folder = self.trained(nodes=nodes, steps=10, **fields)
                losses = self.losses(folder)
                if exact:
                    self.assertEqual(losses, reference)
                for ours, theirs in zip(losses, reference, strict=True):
                    for key in theirs:
                        self.assertAlmostEqual(ours[key], theirs[key], delta=1e-4 * theirs[key])

    def test_what_does_not_fit_is_refused(self):
        job = self.job_of()
        job.write_text(job.read_text().replace("context: 32", "context: 16"))
        self.refused(["run", job, "--run-dir", self.root / "never"], "E_DATA", "windows of 32", "spec.training.context is 16",
                     "--window")
        self.assertFalse((self.root / "never").exists())
        _, folder = self.trained(steps=5)
        self.refused(["evaluate", folder, "--data", self.pairs, "--context", 16], "E_USAGE", "--context", "16", "32")
        status, _, stderr, plain = self.run_job(self.job(steps=5))
        self.assertEqual(status, 0, stderr)
        self.refused(["evaluate", plain, "--translate", self.lines / "test.en", "--references", self.lines / "test.es"],
                     "E_DATA", "--translate", "<|sep|>", "--pairs")
        self.refused(["evaluate", folder, "--translate", self.lines / "test.en", "--references", self.lines / "train.es"],
                     "E_DATA", "test.en", "40 lines", "2000")
        for options in (["--pairs", "en"], ["--pairs", "en-es", "--tokenizer", "bytes"], ["--pairs", "en-es", "--validation", "0.1"]):
            self.refused(["data", "prepare", self.lines, self.root / "nothing", *options], "E_USAGE")
        self.assertFalse((self.root / "nothing").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
