"""Models go to `transformers` and come from it: whole and cut into files, in three dtypes, with the same results."""
import json
import subprocess
import sys
import unittest

from cluster import ATOLL, GPT2, LLAMA, ClusterTest, make_pairs

try:
    import torch
    import transformers
except ImportError as missing:
    print(f"SKIPPED: {missing}; scripts/python-packages installs it")
    sys.exit(77)

HEADER_BYTES = 256 * 4
PROMPT = "the sea and"


def foreign(family, **fields):
    """A small random model of transformers' own making."""
    torch.manual_seed(3)
    if family == "gpt2":
        config = transformers.GPT2Config(vocab_size=256, n_positions=32, n_embd=48, n_layer=2, n_head=4, n_inner=72,
                                         initializer_range=0.3, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0)
    else:
        config = transformers.LlamaConfig(vocab_size=256, max_position_embeddings=32, hidden_size=48,
                                          intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
                                          num_key_value_heads=2, initializer_range=0.3, **fields)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def most_likely(model, tokens):
    """Greedy continuation of PROMPT, byte by byte, within the model's context."""
    text = list(PROMPT.encode())
    with torch.no_grad():
        for _ in range(tokens):
            text.append(int(model(torch.tensor([text[-32:]])).logits[0, -1].argmax()))
    return bytes(text)


class HuggingFace(ClusterTest):
    def generate(self, folder, tokens=16):
        done = subprocess.run([ATOLL, "generate", "--checkpoint", folder, "--prompt", PROMPT, "--tokens", str(tokens),
                               "--temperature", "0"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout[:-1]

    def validation_loss(self, model):
        """Mean over the windows that two evaluation rounds of 8 sequences read."""
        raw = next((self.root / "data").glob("validation-*.bin")).read_bytes()[HEADER_BYTES:]
        tokens = torch.frombuffer(bytearray(raw), dtype=torch.int16).long()
        windows = (len(tokens) - 1) // 32
        batch = torch.stack([tokens[(i % windows) * 32:(i % windows) * 32 + 33] for i in range(16)])
        with torch.no_grad():
            logits = model(batch[:, :-1]).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), batch[:, 1:].flatten()).item()

    def test_transformers_loads_what_a_job_exports(self):
        for family, model in ((GPT2, ""), (LLAMA, ", tie_word_embeddings: true"), (LLAMA, "")):
            with self.subTest(family=family.split(",")[0] + model):
                status, summary, stderr, folder = self.run_job(
                    self.job(nodes=2, tp=2, family=family, model=model, steps=10))
                self.assertEqual(status, 0, stderr)
                cut = folder / "cut"
                subprocess.run([ATOLL, "export", "--checkpoint", summary["checkpoint"], "--shard-size", "64KiB", cut],
                               check=True, stdout=subprocess.DEVNULL)
                self.assertGreater(len(list(cut.glob("model-*.safetensors"))), 2)
                for exported in (folder / "model", cut):
                    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(exported,
                                                                                     output_loading_info=True)
                    self.assertFalse(info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"], info)
                    loss = self.validation_loss(theirs.eval())
                    self.assertLess(abs(loss - summary["val_loss"]) / loss, 1e-5)
                    self.assertEqual(self.generate(exported), most_likely(theirs, 16))

    def test_what_transformers_saves_is_loaded(self):
        for family, fields in (("gpt2", {}), ("llama", {}), ("llama", dict(tie_word_embeddings=True))):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                for size in ("5GB", "20KB"):
                    with self.subTest(family=family, **fields, dtype=dtype, size=size):
                        model = foreign(family, **fields).to(dtype)
                        folder = self.root / f"{family}-{len(fields)}-{dtype}-{size}"
                        model.save_pretrained(folder, max_shard_size=size)
                        self.assertEqual((folder / "model.safetensors.index.json").exists(), size == "20KB")
                        # Beyond the context of 32, too.
                        self.assertEqual(self.generate(folder, 40), most_likely(model.float(), 40))

    def test_a_job_starts_from_what_transformers_saved(self):
        model = foreign("llama")
        folder = self.root / "start"
        model.save_pretrained(folder, max_shard_size="20KB")
        # A learning rate that moves nothing: what is evaluated is what was loaded.
        still = self.job(nodes=2, pp=2, family=f"from: {folder}", steps=4)
        still.write_text(still.read_text().replace("learningRate: 3e-3, minimumLearningRate: 3e-4",
                                                   "learningRate: 1e-30, minimumLearningRate: 0"))
        status, summary, stderr, _ = self.run_job(still)
        self.assertEqual(status, 0, stderr)
        loss = self.validation_loss(model)
        self.assertLess(abs(loss - summary["val_loss"]) / loss, 1e-5)
        reference = None
        for nodes, replicas, stages in ((1, 1, 1), (2, 1, 2), (4, 2, 2)):
            status, _, stderr, run = self.run_job(
                self.job(nodes=nodes, dp=replicas, pp=stages, family=f"from: {folder}", steps=5))
            self.assertEqual(status, 0, stderr)
            reference = reference or self.losses(run)
            self.assertEqual(self.losses(run), reference)
        status, _, stderr, run = self.run_job(self.job(nodes=2, tp=2, family=f"from: {folder}", steps=5))
        self.assertEqual(status, 0, stderr)
        for ours, theirs in zip(self.losses(run), reference, strict=True):
            for key in theirs:
                self.assertAlmostEqual(ours[key], theirs[key], delta=1e-4 * theirs[key])

    def test_a_tokenizer_goes_with_its_model(self):
        data = self.root / "pairs"
        subprocess.run([ATOLL, "data", "prepare", self.root / "text.txt", data, "--tokenizer", "train:500"], check=True,
                       stdout=subprocess.DEVNULL)
        job = self.job(nodes=2, pp=2, family=LLAMA.replace("vocab_size: 256", "vocab_size: 512"), steps=10)
        job.write_text(job.read_text().replace(str(self.root / "data"), str(data)))
        status, summary, stderr, folder = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        exported = folder / "exported"
        subprocess.run([ATOLL, "export", "--checkpoint", summary["checkpoint"], exported], check=True,
                       stdout=subprocess.DEVNULL)
        model = transformers.AutoModelForCausalLM.from_pretrained(exported).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        self.assertEqual(len(tokenizer), 500)
        ids = tokenizer(PROMPT)["input_ids"]
        self.assertLess(len(ids), len(PROMPT))
        with torch.no_grad():
            for _ in range(12):  # the model has twelve more tokens than the tokenizer, for a round number
                ids.append(int(model(torch.tensor([ids[-32:]])).logits[0, -1, :500].argmax()))
        for place in (folder, folder / "model", exported, summary["checkpoint"]):
            self.assertEqual(self.generate(place, 12).decode(), tokenizer.decode(ids))

    def test_the_loss_of_pairs_is_that_of_their_translations(self):
        folder, data = self.root / "lines", self.root / "translations"
        make_pairs(folder)
        subprocess.run([ATOLL, "data", "prepare", folder, data, "--pairs", "en-es", "--window", "32", "--tokenizer",
                        "train:300"], check=True, stdout=subprocess.DEVNULL)
        job = self.job(nodes=2, pp=2, family=LLAMA.replace("vocab_size: 256", "vocab_size: 300"), steps=10)
        job.write_text(job.read_text().replace(str(self.root / "data"), str(data)))
        status, summary, stderr, run = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        pairs = json.loads((data / "manifest.json").read_text())["pairs"]
        raw = next(data.glob("validation-*.bin")).read_bytes()[HEADER_BYTES:]
        tokens = torch.frombuffer(bytearray(raw), dtype=torch.int16).long()
        windows = (len(tokens) - 1) // 32
        inputs, targets = [], []
        for i in range(16):
            window = tokens[(i % windows) * 32:(i % windows) * 32 + 33].tolist()
            inputs.append(window[:-1])
            wanted, side = [], "source"
            for token, after in zip(window, window[1:]):
                side = {pairs["separator"]: "target", pairs["end"]: "source"}.get(token, side)
                wanted.append(after if side == "target" else -100)  # what PyTorch leaves out
            targets.append(wanted)
        model = transformers.AutoModelForCausalLM.from_pretrained(run / "model").eval()
        with torch.no_grad():
            logits = model(torch.tensor(inputs)).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), torch.tensor(targets).flatten()).item()
        self.assertLess(abs(loss - summary["val_loss"]) / loss, 1e-5)

    def test_a_folder_that_does_not_suit_is_refused_before_anything_starts(self):
        folder = self.root / "other"
        foreign("gpt2").save_pretrained(folder)
        for family, code in ((f"from: {folder}, n_embd: 64", "E_JOB_VALUE"), (f"from: {folder}, type: llama", "E_JOB_VALUE"),
                             ("from: nowhere", "E_PATH")):
            status, summary, stderr, run = self.run_job(self.job(family=family))
            self.assertEqual((status, summary), (2, None))
            self.assertIn(code, stderr)
            self.assertFalse(run.exists())
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "activation_function": "relu"}))
        status, _, stderr, _ = self.run_job(self.job(family=f"from: {folder}"))
        self.assertEqual(status, 2)
        self.assertIn("activation_function", stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
