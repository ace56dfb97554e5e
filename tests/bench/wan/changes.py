"""What happens to the line while a job runs, and what the job makes of it.

A cell asks for one of: `change`, a command of the emulator in the middle of the steps; `cut`, seconds without a line from there on;
`turns`, another line that takes turns with the cell's own, each for so many steps.
"""
import statistics
import time

from cells import Failed
from lines import commands
from metrics import WARM, losses_in

KEPT = 0.9  # of the speed before a line changed
SETTLE = 2  # steps that first come on another line and do not count: congestion control finds out


def make(line, settings, run, running):
    """Makes the changes while `running` runs; a function that gives their figures once it has ended."""
    if "turns" in settings:
        turns = take_turns(line, settings, run, running)
        return lambda: of_turns(turns)
    what = settings.get("change") or (f"blackout {settings['cut']}s" if "cut" in settings else None)
    if what is None:
        return dict
    wait_for(settings["steps"] // 2, run / "east", running)
    line.command(what)
    moment = at(run / "east")[1]
    return lambda: after_change(settings, run, moment)


def wait_for(step, folder, running):
    """Until so many steps are in the metrics there."""
    while at(folder)[0] < step:
        if running.poll() is not None:
            raise Failed("the run was over before the line could change: " + running.communicate()[1].strip()[-600:])
        time.sleep(0.05)


def at(folder):
    """The steps so far, and when the last of them ended, in seconds of the metrics."""
    metrics = folder / "metrics.jsonl"
    lines = losses_in(metrics) if metrics.exists() else []
    return (len(lines), lines[-1]["seconds"]) if lines else (0, 0)


def after_change(settings, run, moment):
    """Of the east: its speed from the moment on as a share of that before, and after how many seconds nine tenths of it stand to the end;
    of a cut, the share while it lasted."""
    ends = [line["seconds"] for line in losses_in(run / "east/metrics.jsonl")][WARM:]
    earlier = [end for end in ends if end <= moment]
    later = ends[len(earlier) - 1:]
    before = (len(earlier) - 1) / (earlier[-1] - earlier[0])

    def share(steps):
        return (len(steps) - 1) / (steps[-1] - steps[0]) / before if len(steps) > 1 else 0

    settled = next((i for i in range(len(later) - 1) if share(later[i:]) >= KEPT), len(later) - 1)
    figures = {"kept": share(later), "adapt_seconds": later[settled] - later[0]}
    if "cut" in settings:
        figures["kept_while_cut"] = share([end for end in later if end <= moment + settings["cut"]])
    return figures


def take_turns(line, settings, run, running):
    """The cell's line first. Of each turn, where whoever has metrics of its own was at its first step that counts and at its end."""
    folders = [run / "east", run / "west"] if "datacenters" in settings else [run]
    steps = settings["turns"]["steps"]
    turns = []
    for turn in range((settings["steps"] - WARM) // steps):
        first = WARM + turn * steps
        wait_for(first, folders[0], running)
        if turn:
            for command in commands(settings["turns"]["line"] if turn % 2 else settings["line"]):
                line.command(command)
        moments = []
        for step in (first + SETTLE, first + steps):
            wait_for(step, folders[0], running)
            moments.append([at(folder) for folder in folders])
        turns.append(moments)
    return turns


def of_turns(turns):
    """Steps a second of all in each turn; and the median of what turns on the cell's line have of the mean of their neighbours on the
    other, and the other way around, so that what a machine does for longer than a turn changes nothing."""
    speeds = [sum((after[0] - before[0]) / (after[1] - before[1]) for before, after in zip(start, end)) for start, end in turns]
    shares = [2 * speeds[i] / (speeds[i - 1] + speeds[i + 1]) for i in range(1, len(speeds) - 1)]
    kept = [1 / share if i % 2 == 0 else share for i, share in enumerate(shares)]  # the first is of the other line
    return {"turns": [round(speed, 3) for speed in speeds], "kept_of_turns": statistics.median(kept)}
