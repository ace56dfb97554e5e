"""What happens to the line while a job runs, and what the job makes of it.

A cell asks for one of: `change`, a command of the emulator in the middle of the steps; `cut`, seconds without a line from there on;
`turns`, another line that takes turns with the cell's own.
"""
import statistics
import time

from cells import Failed
from lines import commands
from metrics import WARM, losses_in

KEPT = 0.9  # of the speed before a line changed
TURN = 60  # steps of the east


def make(line, settings, run, running):
    """Makes the changes while `running` runs; a function that gives their figures once it has ended."""
    if "turns" in settings:
        moments = take_turns(line, settings, run, running)
        return lambda: of_turns(moments)
    what = settings.get("change") or (f"blackout {settings['cut']}s" if "cut" in settings else None)
    if what is None:
        return dict
    wait_for(settings["steps"] // 2, run, running)
    line.command(what)
    moment = at(run / "east")[1]
    return lambda: after_change(settings, run, moment)


def wait_for(step, run, running):
    """Until the east has taken so many steps."""
    while at(run / "east")[0] < step:
        if running.poll() is not None:
            raise Failed("the run was over before the line could change: " + running.communicate()[1].strip()[-600:])
        time.sleep(0.05)


def at(datacenter):
    """Its steps so far, and when the last of them ended, in seconds of its metrics."""
    metrics = datacenter / "metrics.jsonl"
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
    """The cell's line first. Where both datacenters were before the first turn and after each, as `at` says it."""
    moments = []
    for turn in range((settings["steps"] - WARM) // TURN + 1):
        wait_for(WARM + turn * TURN, run, running)
        if turn:
            for command in commands(settings["turns"] if turn % 2 else settings["line"]):
                line.command(command)
        moments.append([at(run / name) for name in ("east", "west")])
    return moments


def of_turns(moments):
    """Steps a second of both in each turn; and the median of what turns on the cell's line have of the mean of their neighbours on the
    other, and the other way around, so that what a machine does for longer than a turn changes nothing."""
    speeds = [sum((after[0] - before[0]) / (after[1] - before[1]) for before, after in zip(start, end))
              for start, end in zip(moments, moments[1:])]
    shares = [2 * speeds[i] / (speeds[i - 1] + speeds[i + 1]) for i in range(1, len(speeds) - 1)]
    kept = [1 / share if i % 2 == 0 else share for i, share in enumerate(shares)]  # the first is of the other line
    return {"turns": [round(speed, 3) for speed in speeds], "kept_of_turns": statistics.median(kept)}
