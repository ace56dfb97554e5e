#!/usr/bin/env python3
"""Training across two datacenters, each a network namespace of this machine with one compute thread, and the emulated line
between them; what a line that is not there would give, and what others make of the same line. One JSON line a row at the end.

    python3 tests/bench/wan/bench.py --list                        # rows, their cells, and what was measured of them
    python3 tests/bench/wan/bench.py --only sync encryption        # measures what is missing of these, then prints them
    python3 tests/bench/wan/bench.py --rows                        # prints what is there

A row compares cells; a cell is one setting of everything, measured --runs times and kept in a file of --results, so that a bench that
was cut off goes on where it was, on another machine, too; speeds are compared on one processor only. Cells take turns, run by run; run n
of each has seed n. Needs scripts/build, data/bible
(scripts/quickstart makes it), root for the namespaces and, for the row ddp, scripts/bench-python.
"""
import argparse
import json
import os
import pathlib
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
from lines import ROOT

os.environ.setdefault("ATOLL", str(ROOT / "build/release/bin/atoll"))
import ours
import theirs
import wan
from cells import Cell, Failed, Results, this_processor
from rows import Rows

sys.path.insert(0, str(ROOT / "tests/bench"))
import runner


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(cell, number):
    """One run. What else the machine did meanwhile is among the figures."""
    start, busy, own = time.monotonic(), runner.busy_seconds(), runner.children_seconds()
    run = {"train": lambda: ours.train(cell.settings, number), "here": lambda: ours.here(cell.settings, number),
           "stream": lambda: ours.stream(cell.settings),
           "ddp": lambda: theirs.ddp(cell.settings), "flow": lambda: theirs.flow(cell.settings)}[cell.kind]
    figures = run()
    took = time.monotonic() - start
    others = (runner.busy_seconds() - busy - (runner.children_seconds() - own)) / took
    return {"processor": this_processor(), **figures, "others_cpu": round(max(0.0, others), 3), "took_seconds": round(took, 1)}


def fill(cells, runs, results):
    """Runs what is missing, in turns; a cell that fails is named and left out. True if none failed."""
    failed = set()
    for number in range(1, runs + 1):
        for cell in cells:
            if len(results.runs(cell)) >= number or cell.name in failed:
                continue
            try:
                figures = measure(cell, number)
            except (Failed, wan.WanError, RuntimeError, OSError) as failure:
                say(f"{cell.name}: left out: {failure}")
                failed.add(cell.name)
                continue
            results.add(cell, figures)
            say(f"{cell.name}, run {number}: " + short(figures))
    return not failed


def short(figures):
    names = ("tokens_per_second", "mbit", "step_seconds", "predicted_seconds", "validation_loss", "others_cpu", "took_seconds")
    return ", ".join(f"{name} {figures[name]:.5g}" for name in names if figures.get(name) is not None)


def found_in(row, results):
    """The row's figures, and in which of the results: of whichever processor gives them, where speeds are compared."""
    views = [results] if row.anywhere else [results.on(processor) for processor in results.processors(row.cells)]
    return next(((view, found) for view in views if (found := row.figures(view)) is not None), None)


def print_row(row, results):
    both = found_in(row, results)
    if both is None:
        return say(f"{row.name}: nothing to hold against each other yet")
    results, (value, other, note) = both
    ratio = None if other is None else value / other
    held = value if ratio is None else ratio
    target = row.target(results) if callable(row.target) else row.target
    holds = None if target is None else held <= target if row.at_most else held >= target
    say(f"{row.name}: {note}")
    print(json.dumps({"row": row.name, "ours": value, "theirs": other, "ratio": ratio, "target": target, "holds": holds}), flush=True)


def distinct(rows):
    """Their cells, each once."""
    return list({cell.name: cell for row in rows for cell in row.cells}.values())


def show(rows, cells, results):
    for row in rows:
        target = row.target(results) if callable(row.target) else row.target
        bound = "" if target is None else f", {'at most' if row.at_most else 'at least'} {target:.4g}"
        print(f"{row.name}{bound}: {' '.join(cell.name for cell in row.cells)}")
    for cell in cells:
        print(f"{cell.name} ({cell.kind}, {len(results.runs(cell))} runs): {json.dumps(cell.settings)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default=ROOT / "docs/wan/cells", type=pathlib.Path, help="folder of the cells (default: docs/wan/cells)")
    parser.add_argument("--runs", type=int, default=3, help="of each cell")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows to measure; or cells, by their names")
    parser.add_argument("--steps", type=int, help="of training in place of the usual ones; few, to look: give another --results then")
    parser.add_argument("--rows", action="store_true", help="measure nothing, print rows from what is there")
    parser.add_argument("--list", action="store_true", help="print rows and cells with their settings")
    options = parser.parse_args()
    results, rows = Results(options.results), Rows(options.steps).rows
    cells = distinct(rows)
    if options.only:
        known = {row.name for row in rows} | {cell.name for cell in cells}
        if unknown := set(options.only) - known:
            parser.error(f"--only: {', '.join(sorted(unknown))}: no row or cell; --list prints them")
        cells = [cell for cell in distinct(row for row in rows if row.name in options.only)]
        cells += [cell for cell in distinct(rows) if cell.name in options.only and cell not in cells]
        rows = [row for row in rows if row.name in options.only or any(cell in cells for cell in row.cells)]
    if options.list:
        return show(rows, cells, results)
    whole = True
    if not options.rows:
        wan.require()
        os.environ["ATOLL_CACHE"] = str(ROOT / "build/wan-cache")  # what nodes measure is not the user's
        whole = fill(cells, options.runs, results)
    for row in rows:
        print_row(row, results)
    return 0 if whole else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(str(failure))
