#!/usr/bin/env python3
"""The curves of what tests/bench/wan/bench.py has kept, as SVG.

    python3 tests/bench/wan/plot.py [--results docs/wan/cells] --out docs/wan

losses.svg: loss by time of the synchronous cells, without codecs on the unlimited line and with each on 50 Mbit/s, run 1 of each.
local.svg: loss by text of datacenters by themselves on slow lines, and of lock-step, run 1 of each.
predicted.svg: what a line leaves of the speed by its rate, measured (points, from the least to the most of the runs) and predicted (lines).
A picture for which cells are missing is not made, and that is said.
"""
import argparse
import math
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
from cells import Results
from lines import ROOT
from ours import CONTEXT
from rows import LOCAL, Rows

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 30, 50
COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#edae49", "#66547a", "#00798c", "#8d5b4c")


class Axis:
    """From values to places of the picture, linear or by decades."""

    def __init__(self, values, begin, end, decades=False):
        self.decades = decades
        low, high = min(map(self.scaled, values)), max(map(self.scaled, values))
        margin = 0.04 * (high - low or 1)
        self.low, self.high, self.begin, self.end = low - margin, high + margin, begin, end

    def scaled(self, value):
        return math.log10(value) if self.decades else value

    def place(self, value):
        return self.begin + (self.scaled(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        """Round values within."""
        if self.decades:
            near = range(math.floor(self.low), math.ceil(self.high) + 1)
            values = [digit * 10.0**power for power in near for digit in (1, 2, 5)]
        else:
            step = 10.0 ** math.floor(math.log10(self.high - self.low))
            step *= next(part for part in (1, 0.5, 0.2) if (self.high - self.low) / (part * step) >= 4)
            values = [n * step for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in values if self.low <= self.scaled(value) <= self.high]


class Picture:
    """Series of (x, y) on one pair of axes, with their names at the right."""

    def __init__(self, title, x_name, y_name, points, decades=(False, False)):
        self.x = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, decades[0])
        self.y = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, decades[1])
        self.parts, self.names = [], 0
        self.text(LEFT, TOP - 12, title, "start", bold=True)
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name, "middle")
        self.text(LEFT - 8, TOP - 12, y_name, "end")
        for value in self.x.ticks():
            self.stroke([(self.x.place(value), TOP), (self.x.place(value), HEIGHT - BOTTOM)], "#ddd", 1)
            self.text(self.x.place(value), HEIGHT - BOTTOM + 18, f"{value:g}", "middle")
        for value in self.y.ticks():
            self.stroke([(LEFT, self.y.place(value)), (WIDTH - RIGHT, self.y.place(value))], "#ddd", 1)
            self.text(LEFT - 8, self.y.place(value) + 4, f"{value:g}", "end")

    def curve(self, points, colour):
        self.stroke([(self.x.place(x), self.y.place(y)) for x, y in points], colour, 1.8)

    def marks(self, points, colour):
        """Of (x, least, middle, most)."""
        for x, least, middle, most in points:
            self.stroke([(self.x.place(x), self.y.place(least)), (self.x.place(x), self.y.place(most))], colour, 1.5)
            self.parts.append(f'<circle cx="{self.x.place(x):.1f}" cy="{self.y.place(middle):.1f}" r="4" fill="{colour}"/>')

    def name(self, text, colour):
        y = TOP + 12 + 20 * self.names
        self.names += 1
        self.stroke([(WIDTH - RIGHT + 14, y - 4), (WIDTH - RIGHT + 34, y - 4)], colour, 3)
        self.text(WIDTH - RIGHT + 42, y, text, "start")

    def stroke(self, points, colour, width):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def text(self, x, y, text, anchor, bold=False):
        weight = ' font-weight="bold"' if bold else ""
        shown = text.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{shown}</text>')

    def svg(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
                f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n')
        return head + "\n".join(self.parts) + "\n</svg>\n"


def losses(results, rows):
    """Loss by time."""
    cells = [cell for cell in (rows.exact, *rows.packed) if results.runs(cell)]
    if len(cells) < 2:
        return None
    curves = [[(seconds, loss) for _, seconds, loss in results.runs(cell)[0]["curve"]] for cell in cells]
    picture = Picture("Synchronous training of 10M parameters", "seconds", "loss", [point for curve in curves for point in curve])
    for cell, curve, colour in zip(cells, curves, COLOURS):
        picture.curve(curve, colour)
        picture.name(cell.name, colour)
    return picture


def local(results, rows):
    """Loss by text."""
    cells = [cell for row in rows.rows if row.name in ("local-loss", "local-10-loss") for cell in row.cells if results.runs(cell)]
    cells = list({cell.name: cell for cell in cells}.values())
    if len(cells) < 2:
        return None
    step = 2 * LOCAL["sequences"] * CONTEXT / 1e6
    # What comes first would leave no room for the rest.
    curves = [[(steps * step, loss) for steps, _, loss in results.runs(cell)[0]["curve"]][3:] for cell in cells]
    picture = Picture("Datacenters by themselves, and lock-step", "million tokens", "loss", [point for curve in curves for point in curve])
    for cell, curve, colour in zip(cells, curves, COLOURS):
        picture.curve(curve, colour)
        picture.name(cell.name, colour)
    return picture


def predicted(results, rows):
    """What a line leaves of the speed by its rate."""
    series = {}
    for cell in (cell for row in rows.rows if row.name in ("predict", "predict-local") for cell in row.cells):
        if results.runs(cell):
            series.setdefault(cell.name.removeprefix("predict-").rpartition("-")[0], []).append(cell)
    if not any(len(cells) > 1 for cells in series.values()):
        return None
    measured, thought = {}, {}
    for mode, cells in series.items():
        for cell in sorted(cells, key=lambda cell: cell.settings["line"]["rate"]):
            kept = [run["kept_of_turns"] for run in results.runs(cell)]
            rate = cell.settings["line"]["rate"]
            measured.setdefault(mode, []).append((rate, min(kept), results.median(cell, "kept_of_turns"), max(kept)))
            thought.setdefault(mode, []).append((rate, results.median(cell, "predicted_kept")))
    points = [(rate, y) for marks in measured.values() for rate, *some in marks for y in some]
    points += [point for curve in thought.values() for point in curve]
    picture = Picture("Speed kept, measured (points) and predicted (lines)", "Mbit/s", "of the unlimited line's", points, (True, False))
    for mode, colour in zip(series, COLOURS):
        picture.curve(thought[mode], colour)
        picture.marks(measured[mode], colour)
        picture.name(mode, colour)
    return picture


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default=ROOT / "docs/wan/cells", type=pathlib.Path)
    parser.add_argument("--steps", type=int, help="as the bench was given")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder of the pictures")
    options = parser.parse_args()
    results, rows = Results(options.results), Rows(options.steps)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, draw in (("losses", losses), ("local", local), ("predicted", predicted)):
        picture = draw(results, rows)
        if picture is None:
            print(f"{name}.svg: not made, its cells are not measured yet")
            continue
        (options.out / f"{name}.svg").write_text(picture.svg())
        print(options.out / f"{name}.svg")


if __name__ == "__main__":
    main()
