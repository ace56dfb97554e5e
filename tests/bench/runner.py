"""Runs one side of a comparison: on its cores, alone if possible, with a JSON line as the answer."""

import contextlib
import fcntl
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

# Of one core. Two idle seconds of a two-core machine show about 0.01.
DISTURBED = 0.05
ATTEMPTS = 4


class Failed(Exception):
    """A command that gave no answer, with why."""


def say(text):
    """For the person who waits; stdout is for rows."""
    print(text, file=sys.stderr, flush=True)


def distinct_cores(count):
    """The first `count` processors that share no core, so that two threads never halve one core."""
    chosen, taken = [], set()
    for cpu in sorted(os.sched_getaffinity(0)):
        if cpu in taken:
            continue
        chosen.append(cpu)
        taken |= siblings(cpu)
    if len(chosen) < count:
        raise Failed(f"{count} threads need {count} cores; there are {len(chosen)}")
    return chosen[:count]


def siblings(cpu):
    """The processors of the same core, from a list such as "0,64" or "0-1"."""
    path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    if not path.exists():
        return {cpu}
    ends = [part.split("-") for part in path.read_text().strip().split(",")]
    return {each for part in ends for each in range(int(part[0]), int(part[-1]) + 1)}


def busy_seconds():
    """Processor time that anything has used since boot, time stolen by the host included."""
    user, nice, system, _, _, interrupt, soft, steal = pathlib.Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, interrupt, soft, steal))) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def held(lock):
    """Holds the lock file exclusively, if there is one."""
    if lock is None:
        yield
        return
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_once(command, cpus, environment, timeout):
    """Output of the command, and the cores' worth of processor time that others used meanwhile."""
    start, busy, ours = time.monotonic(), busy_seconds(), children_seconds()
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, timeout=timeout, capture_output=True,
                              text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    except FileNotFoundError as missing:
        raise Failed(f"{command[0]} is not there; build it first") from missing
    except subprocess.TimeoutExpired as late:
        raise Failed(f"not done after {timeout} s") from late
    others = (busy_seconds() - busy) - (children_seconds() - ours)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().split("\n")
        raise Failed(f"exit status {done.returncode}: {lines[-1]}")
    return done.stdout, max(0.0, others) / (time.monotonic() - start)


def answer_in(output):
    """The JSON line whose row is "step"."""
    for line in output.split("\n"):
        if line.startswith("{"):
            answer = json.loads(line)
            if answer.get("row") == "step":
                return answer
    raise Failed('printed no JSON line with "row": "step"')


def run(command, cpus, environment=None, timeout=600, lock=None, attempts=ATTEMPTS):
    """The answer of the least disturbed of up to `attempts` runs, with "others_cpu" added."""
    best = None
    for _ in range(attempts):
        with held(lock):
            output, others = run_once(command, cpus, environment or {}, timeout)
        if best is None or others < best["others_cpu"]:
            best = {**answer_in(output), "others_cpu": round(others, 3)}
        if others <= DISTURBED:
            break
        say(f"  others used {others:.2f} of a core during {pathlib.Path(command[0]).name}")
    return best
