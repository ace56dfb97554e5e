"""Holds chrF and BLEU of `atoll evaluate` against `sacrebleu`: the same lines, hence the same scores.

usage: sacrebleu_compare.py PATH_OF_atoll
Exits 0 when all agree, 1 when not, 77 (skipped, for ctest) without sacrebleu.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    from sacrebleu.metrics import BLEU, CHRF
except ImportError as missing:
    print(f"SKIPPED: {missing}; scripts/python-packages installs it")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-9

EDGES = ["", " ", "\t", "a", ".", "...", "a.", ".a", "1.", ".1", "1.5", "1,000.50", "1,a", "a,1", "1990-95", "-5", "a-b", "5-", "--",
         "it's", "''", "\"quoted\"", "“curly” ‘quotes’", "«ángulo»", "¿Qué? ¡Sí!", "año", "ano", "an\u0303o", "ÁÉÍÓÚ áéíóú", "ß ẞ ss",
         "&quot;a&quot;", "&amp;lt;", "&lt;b&gt; &amp;", "&nbsp;", "<skipped>", "a<skipped>b", "<skip<skipped>ped>",
         "no\u00a0break", "thin\u2009space", "ideographic\u3000space", "line\u2028separator", "next\u0085line", "unit\x1fseparator",
         "zero\u200bwidth", "\ufeffBOM", "日本語のテキスト。", "👩\u200d👩\u200d👧 family", "\U0010ffff", "a\rb", "$5.00 + 10%", "e.g., i.e.",
         "a/b\\c", "[x] {y} (z)", "a_b^c`d~e|f", "@user #tag", "1.2.3.4", "..1..", ",,,", "1,,2", "1-2-3", "a b c d", "a b c d e",
         "the the the the", "word " * 50, "x" * 300]


def verses(folder):
    text = pathlib.Path(folder) / "text.txt"
    subprocess.run([ROOT / "scripts/prepare-text", text], check=True, stdout=subprocess.DEVNULL)
    return [line for line in text.read_text(encoding="utf-8").split("\n") if line and not line.startswith("# ")]


def worsened(draw, line):
    """What a bad translation may have made of it."""
    words = line.split(" ")
    for _ in range(draw.randint(0, 1 + len(words) // 3)):
        at = draw.randrange(len(words))
        kind = draw.randrange(6)
        if kind == 0:
            words[at] = draw.choice(words)
        elif kind == 1:
            words.insert(at, draw.choice(EDGES + words))
        elif kind == 2 and len(words) > 1:
            del words[at]
        elif kind == 3:
            words[at] = words[at].upper()
        elif kind == 4:
            words[at] = words[at][::-1]
        else:
            words[at] += draw.choice([".", ",", "-", "!", "ñ", "é", "3", " "])
    return " ".join(words)


class Compare:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.corpora, self.lines, self.worst, self.failed = 0, 0, 0.0, False

    def hold(self, hypotheses, references):
        files = [self.folder / "hypotheses", self.folder / "references"]
        for file, lines in zip(files, (hypotheses, references), strict=True):
            file.write_bytes("".join(line + "\n" for line in lines).encode())
        done = subprocess.run([self.program, "evaluate", "--hypotheses", files[0], "--references", files[1], "--json"],
                              check=True, stdout=subprocess.PIPE)
        ours = json.loads(done.stdout)
        bleu = BLEU().corpus_score(hypotheses, [references])
        theirs = {"chrf": CHRF().corpus_score(hypotheses, [references]).score, "bleu": bleu.score,
                  "brevity_penalty": bleu.bp, "lines": len(references)}
        self.corpora += 1
        self.lines += len(references)
        for key, value in theirs.items():
            difference = abs(ours[key] - value)
            self.worst = max(self.worst, difference)
            if difference > TOLERANCE:
                self.failed = True
                print(f"FAILED: {key} {ours[key]} Atoll, {value} sacrebleu: {hypotheses[:3]!r} against {references[:3]!r}")


def main():
    draw = random.Random(11)
    with tempfile.TemporaryDirectory() as folder:
        compare = Compare(sys.argv[1], folder)
        real = verses(folder)
        for edge in EDGES:  # each alone, so that nothing hides a difference
            compare.hold([edge], [edge])
            compare.hold([edge], [draw.choice(EDGES)])
            compare.hold([f"In the beginning {edge} there was light"], [f"In the beginning there {edge} was light"])
        for _ in range(100):
            references = draw.sample(real, draw.randint(1, 4))
            compare.hold([worsened(draw, line) for line in references], references)
        references = draw.sample(real, 400) + EDGES
        compare.hold([worsened(draw, line) for line in references], references)
        compare.hold(draw.sample(references, len(references)), references)
        print(f"{compare.corpora} corpora of {compare.lines} lines; largest difference {compare.worst:.1e}")
        sys.exit(1 if compare.failed else 0)


if __name__ == "__main__":
    main()
