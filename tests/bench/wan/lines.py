"""The lines of the bench: all of the project's own emulator, the unlimited one too."""
import pathlib
import sys

from cells import Failed

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/cluster/wan"), str(ROOT / "tests/cluster")]
import wan

# The fastest that the emulator plays, without delay: unshaped, but the packets take the same way.
UNLIMITED = {"rate": 10_000, "round_trip": 0, "queue": "64MB"}


def line(rate, round_trip, **more):
    """Mbit/s and ms, as a cell's settings say them; `more` are settings of the emulator, such as loss="0.1%"."""
    return {"rate": rate, "round_trip": round_trip, **more}


def rig(settings):
    """Two namespaces with the line between them."""
    more = {name: value for name, value in settings.items() if name not in ("rate", "round_trip")}
    return wan.Sides(rate=f"{settings['rate']}mbit", delay=f"{settings['round_trip'] / 2:g}ms", **more)


def commands(settings):
    """For a running line to become this one; its queue is what a line gets that starts as this one."""
    queue = settings.get("queue", f"{max(24_000, round(settings['rate'] * settings['round_trip'] * 125))}B")
    return [f"delay {settings['round_trip'] / 2:g}ms", f"loss {settings.get('loss', '0%')}", f"queue {queue}",
            f"rate {settings['rate']}mbit"]


def as_topology(settings):
    """The same as a topology says it: what it carries of payload, as `atoll topology lines` would find it. TCP's is 1,448 of the 1,500
    bytes of a packet. A round trip of nothing is none that a topology takes."""
    rate = settings["rate"] * 1448 / 1500
    return f"rate: {rate:.2f}Mbit/s, roundTrip: " + (f"{settings['round_trip']}ms" if settings["round_trip"] else "100us")


def check_line(line, stats):
    """An emulator that could not keep up makes a measurement void."""
    dropped = line.unread() + sum(stats[way]["memory_dropped"] for way in ("ab", "ba"))
    if dropped:
        raise Failed(f"the emulator dropped {dropped} packets of its own; the machine is too busy to measure")
