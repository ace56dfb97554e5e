"""Holds Atoll's byte-pair tokenizer against `tokenizers`: same pieces, same ids, same training.

usage: tokenizer_compare.py PATH_OF_reference_tokenizer
Exits 0 when all agree, 1 when not, 77 (skipped, for ctest) without tokenizers.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
except ImportError as missing:
    print(f"SKIPPED: {missing}; scripts/python-packages installs it")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VOCABULARY = 2000
EDGES = ["", " ", "  ", "\n", "\t\n ", " a", "  a", "a ", "a  ", "a\n\nb", "\r\n\r\n x", "don't we'll I'M it's'd", "'", "''s",
         " 's", "!'s", "'S", "'re'", "x'llx", "1a2b", "½ ² Ⅷ ٣", "naïve café Ωμέγα", "日本語 テスト", "한국어",
         "e\u0301", "\u200b\u200d", "👩\u200d👩\u200d👧 🏳️\u200d🌈", "\u00a0x\u00a0\u00a0y", "\u2003 \u3000z", "\x00\x01", "\x85a\x85\x85",
         "<|endoftext|>", "a<|endoftext|>b <|endoftext|>", "<|endof", "<|end|><|endoftext|><|pad|>", "\ufeffBOM", "\U0010ffff",
         "a" * 5000, " " * 3000, "ab" * 2000 + " ", "!?" * 1500, "\n" * 500 + "x"]


def noise(draw, length):
    """Characters of all planes, with many of those that the pattern looks at."""
    alphabet = [lambda: draw.choice(" \t\n'.,!?-_"), lambda: draw.choice("aeiostrmdlv'"), lambda: str(draw.randint(0, 9)),
                lambda: chr(draw.randint(0x80, 0x7ff)), lambda: chr(draw.choice([0x3000, 0x2028, 0xa0, 0x1680, 0x85])),
                lambda: chr(draw.choice([draw.randint(0x800, 0xd7ff), draw.randint(0xe000, 0x10ffff)]))]
    return "".join(draw.choice(alphabet)() for _ in range(length))


class Compare:
    def __init__(self, program, folder):
        self.program, self.folder, self.failed = program, pathlib.Path(folder), False

    def ask(self, *arguments, texts):
        path = self.folder / "texts.json"
        path.write_text(json.dumps(texts))
        return subprocess.run([self.program, *arguments, path], check=True, stdout=subprocess.PIPE, text=True).stdout

    def hold(self, what, ours, theirs, texts):
        wrong = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
        print(f"{what}: {len(ours)} texts, {len(wrong)} differ")
        for i in wrong[:3]:
            print(f"FAILED: {what}: {texts[i][:60]!r}: {ours[i][:20]} Atoll, {theirs[i][:20]} tokenizers")
        self.failed |= bool(wrong)

    def pieces(self, what, texts):
        cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
        theirs = [[len(text[begin:end].encode()) for _, (begin, end) in cut.pre_tokenize_str(text)] for text in texts]
        self.hold(what, json.loads(self.ask("pieces", texts=texts)), theirs, texts)

    def ids(self, what, tokenizer, texts):
        path = self.folder / "tokenizer.json"
        tokenizer.save(str(path))
        theirs = [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]
        self.hold(what, json.loads(self.ask("encode", path, texts=texts)), theirs, texts)


def trained(texts, vocabulary, special=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=list(special),
        show_progress=False))
    return tokenizer


def main():
    with tempfile.TemporaryDirectory() as folder:
        compare = Compare(sys.argv[1], folder)
        text = pathlib.Path(folder) / "text.txt"
        subprocess.run([ROOT / "scripts/prepare-text", text], check=True, stdout=subprocess.DEVNULL)
        chapters = text.read_text(encoding="utf-8").split("\n# ")
        draw = random.Random(5)
        texts = EDGES + draw.sample(chapters, 60) + [noise(draw, draw.randint(1, 60)) for _ in range(4000)]

        compare.pieces("pieces of real and of random text", texts)
        # Each character beside one of each class tells which class it has.
        codes = [chr(code) for code in range(0x110000) if not 0xd800 <= code < 0xe000]
        compare.pieces("every character", [f"a{c}1{c}!{c} {c}\n{c}" for c in codes])

        ours = Tokenizer.from_str(compare.ask("train", str(VOCABULARY), texts=chapters))
        theirs = trained(chapters, VOCABULARY)
        merges = [json.loads(each.to_str())["model"]["merges"] for each in (ours, theirs)]
        compare.hold("merges of a training", merges[0], merges[1], merges[1])
        compare.hold("ids of a training", sorted(ours.get_vocab().items()), sorted(theirs.get_vocab().items()),
                     sorted(theirs.get_vocab()))

        compare.ids("ids of our tokenizer", ours, texts)
        special = trained(chapters, 700, ["<|endoftext|>", "<|end|>"])
        special.add_tokens([AddedToken("<|pad|>"), AddedToken("\u3000"), AddedToken("don")])
        compare.ids("ids with added tokens", special, texts)
        special.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        compare.ids("ids with a space in front", special, [text for text in texts if "<|" not in text and "don" not in text
                                                           and "\u3000" not in text])
        theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        compare.ids("ids without the pattern", theirs, texts)
        sys.exit(1 if compare.failed else 0)


if __name__ == "__main__":
    main()
