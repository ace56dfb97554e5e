"""Cells: one setting each of one side of a comparison, and what its runs gave, kept as a file so that a long bench resumes."""
import collections
import dataclasses
import json
import os
import pathlib
import re
import statistics


class Failed(Exception):
    """A cell that gave no figures, with why."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """`kind` says who runs it (bench.py); `settings` is all that decides about its figures, as JSON has it."""

    name: str
    kind: str
    settings: dict


def this_processor():
    """As a run names what it was made on: speeds of different ones cannot be compared, losses and bytes can."""
    about = dict(re.findall(r"^(model name|model)\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return f"{about['model name']}, model {about['model']}, {len(os.sched_getaffinity(0))} of them"


def as_lines(whole):
    """JSON with one run a line, so that a run more is a line more."""
    runs = ",\n  ".join(json.dumps(run) for run in whole["runs"])
    head = json.dumps({**whole, "runs": None}, indent=1)
    return head.replace('"runs": null', f'"runs": [\n  {runs}\n ]') + "\n"


class Results:
    """A folder with one file a cell: {"cell", "kind", "settings", "runs": [figures of each]}; of one processor, if it is given."""

    def __init__(self, folder, processor=None):
        self.folder, self.processor = pathlib.Path(folder), processor
        self.folder.mkdir(parents=True, exist_ok=True)

    def on(self, processor):
        return Results(self.folder, processor)

    def processors(self, cells):
        """On which the cells were measured, the one with the most runs first."""
        counts = collections.Counter(run["processor"] for cell in cells for run in self.runs(cell))
        return [processor for processor, _ in counts.most_common()]

    def runs(self, cell):
        """What was measured so far; runs of other settings under the same name are an error, since they cannot be compared."""
        path = self._path(cell)
        if not path.exists():
            return []
        kept = json.loads(path.read_text())
        if kept["settings"] != cell.settings:
            raise Failed(f"{path} has runs with other settings than those asked for now; remove it, or give another --results")
        return [run for run in kept["runs"] if self.processor in (None, run["processor"])]

    def add(self, cell, figures):
        """To all; of the Results of no one processor."""
        runs = [*self.runs(cell), figures]
        whole = {"cell": cell.name, "kind": cell.kind, "settings": cell.settings, "runs": runs}
        part = self._path(cell).with_suffix(".part")
        part.write_text(as_lines(whole))
        os.replace(part, self._path(cell))

    def median(self, cell, figure):
        """Over the runs that have the figure; None if there is none."""
        values = [run[figure] for run in self.runs(cell) if run.get(figure) is not None]
        return statistics.median(values) if values else None

    def spread(self, cell, figure):
        values = [run[figure] for run in self.runs(cell) if run.get(figure) is not None]
        return f"{min(values):.5g} to {max(values):.5g}" if values else "none"

    def paired(self, one, other, figure):
        """The median of the ratios of runs with the same number, which have the same seed; None if there are none."""
        pairs = zip(self.runs(one), self.runs(other))
        ratios = [a[figure] / b[figure] for a, b in pairs if a.get(figure) and b.get(figure)]
        return statistics.median(ratios) if ratios else None

    def _path(self, cell):
        return self.folder / f"{cell.name}.json"
