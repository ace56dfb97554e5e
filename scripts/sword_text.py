"""Verses of the Bible modules that Debian packages for SWORD, as plain text. Used by prepare-text and parallel-text."""
import html
import os
import pathlib
import re
import subprocess
import sys
import tempfile

NOTES = re.compile(r"<(note|title|rdg|catchWord|reference)\b[^>]*?(?<!/)>.*?</\1>", re.S)
EMPTY = re.compile(r"<(note|title|rdg|catchWord|reference)\b[^>]*/>")
TAG = re.compile(r"<[^>]*>")
AFTER = re.compile(r'<div\b[^>]*\btype="(?:introduction|glossary|front)"')
KEY = re.compile(r"\$\$\$(.+) (\d+):(\d+)$")


def clean(verse):
    """A verse without its marks."""
    # What follows a book's last verse (the next book's introduction, the glossary) hangs on to it.
    behind = AFTER.search(verse)
    if behind:
        verse = verse[: behind.start()]
    verse = EMPTY.sub(" ", verse)
    while True:  # notes hold references and readings
        shorter = NOTES.sub(" ", verse)
        if shorter == verse:
            break
        verse = shorter
    # Words are tagged one by one with the spaces between the tags, so a tag is nothing in itself;
    # line and paragraph marks do separate.
    verse = re.sub(r"<(lb|l|lg|div|item|list|milestone|chapter|speaker)\b[^>]*>", " ", verse)
    verse = html.unescape(TAG.sub("", verse))
    verse = re.sub(r"\s+", " ", verse).strip()
    return re.sub(r" ([,.;:!?’”])", r"\1", verse)


def parse(lines):
    """Yields (book, chapter, number, text) of the verses of an export; chapter and verse 0 are prefaces."""
    place, verse = None, []
    for line in lines:
        if not line.startswith("$$$"):
            verse.append(line)
            continue
        if place:
            yield *place, clean("".join(verse))
        match = KEY.match(line.rstrip("\n"))
        wanted = match and match[2] != "0" and match[3] != "0"
        place, verse = ((match[1], int(match[2]), int(match[3])) if wanted else None), []
    if place:
        yield *place, clean("".join(verse))


def verses(module, package):
    """The verses of an installed module that have text. Ends the program with what is missing."""
    folder = os.environ.setdefault("SWORD_PATH", "/usr/share/sword")
    if not os.path.exists(f"{folder}/mods.d/{module}.conf"):
        sys.exit(f"the module {module} is missing; run: apt-get install {package}")
    try:
        done = subprocess.run(["mod2imp", module], stdout=subprocess.PIPE, check=True)
    except FileNotFoundError:
        sys.exit("mod2imp is missing; run: apt-get install libsword-utils")
    except subprocess.CalledProcessError:
        sys.exit(f"mod2imp cannot export {module}")
    lines = (line + "\n" for line in done.stdout.decode("utf-8").split("\n"))
    found = [verse for verse in parse(lines) if verse[3]]
    if len(found) < 30_000:
        sys.exit(f"only {len(found)} verses came out of {module}; at least 30000 were expected")
    return found


def with_headings(verses):
    """Text of verses, a line each, with "# Book chapter" before each chapter."""
    parts, current = [], None
    for book, chapter, _, verse in verses:
        if (book, chapter) != current:
            parts.append(("\n" if current else "") + f"# {book} {chapter}\n\n")
            current = (book, chapter)
        parts.append(verse + "\n")
    return "".join(parts)


def write(path, text):
    """Writes a file so that it is whole or absent. Missing parent folders are made."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=path.name + ".", delete=False) as partial:
        try:
            partial.write(text.encode())
            os.chmod(partial.name, 0o644)
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise
