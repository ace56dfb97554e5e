"""The rows: which cells each holds against each other, and what it makes of their figures."""
import copy
import dataclasses
import pathlib
import statistics

from cells import Cell
from lines import UNLIMITED, line
from metrics import WARM

# The same tokens in each step of all synchronous cells, DDP's too: 8 x 256 in each datacenter.
SYNC = {"leaves": 2, "sequences": 8, "evaluation": 16, "parallelism": {"dp": 2}, "codecs": {}}
# 64 x 256, as micro-batches of 2 x 256: small ones are over the line sooner, larger ones would be computed faster.
PIPELINE = {"leaves": 32, "sequences": 2, "evaluation": 4, "parallelism": {"pp": 2}, "codecs": {}}
SLOW = line(50, 50)
FAR = line(100, 40)
# Each datacenter by itself, and lock-step that it is held against: small batches, which both need the least text with. As many held-out
# sequences for both.
LOCAL = {"leaves": 1, "sequences": 2, "evaluation": 128, "parallelism": {"dp": 1}, "codecs": {}}
EXACT = {"leaves": 2, "sequences": 2, "evaluation": 64, "parallelism": {}, "codecs": {}}
LOSSY = line(10, 100, loss="0.1%")
# Steps between tellings, fragments, codec, the outer rate and momentum; and the learning rate. Those that rows are about; which ones
# these are, and lock-step's learning rate, the row "tuning" tells, for both sides by as many trials.
# Of trials that are level (within half a percent), the one nearer the middle of its rates.
TOLD = (60, 4, "int4+zstd", 0.7, 0.8)
RATE = 5e-4
TRIALS = ((TOLD, RATE), (TOLD, 3.5e-4), (TOLD, 7e-4), (TOLD, 1.4e-3), ((20, 4, "top-k:0.25:int2+zstd", 0.7, 0.8), RATE))
EXACT_RATE = 1e-3
RATES = (EXACT_RATE, 3.5e-4, 5e-4, 7e-4, 2e-3)
# 8 million tokens.
LONG = 7812
PACED = {"east": "30GFLOP/s", "west": "15GFLOP/s"}
GRADIENTS = ("int4+zstd", "top-k:0.05", "top-k:0.1", "power-sgd:4", "power-sgd:16", "power-sgd:32", "auto:0.15")
ACTIVATIONS = ("int8", "int4", "auto:0.02")
PREDICTED_RATES = (5, 50, 200)
# Inner steps, and steps of a turn, in which a fragment is told at least once.
PREDICTED_INNER = {1: 8, 8: 24, 32: 32, 128: 32}
TURNS = 6
# What quality may cost.
LOSS = 1.01


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    target: object  # a number; of Results, where it depends on what was measured; None
    at_most: bool
    cells: tuple
    figures: object  # of Results: (ours, theirs, what is said of it), or None while a cell is missing
    anywhere: bool = False  # of losses and bytes: runs on different processors can be compared


def with_(settings, **changes):
    return {**copy.deepcopy(settings), **changes}


def trained(name, base, on, steps, **changes):
    return Cell(name, "train", with_(base, line=on, steps=steps, **changes))


def alone_here(name, steps, rate):
    """Lock-step for its loss alone, on no line."""
    return Cell(name, "here", with_(EXACT, steps=steps, learning_rate=rate))


def plain(text):
    """A codec as a part of a file's name."""
    return text.replace(":", "-").replace("+", "-")


class Rows:
    """All rows, with the steps asked for."""

    def __init__(self, steps=None):
        self.steps = steps
        self.rows = [*self.pipeline(), *self.sync(), *self.local(), *self.changes(), *self.encryption(), *self.ddp(),
                     *self.predict()]

    def count(self, usual):
        return self.steps or usual

    def pipeline(self):
        """A pipeline across the line against one across none, with codecs or without, whichever is faster there. Its loss is held
        against the one without, so those with codecs are run for their speed alone."""
        steps = self.count(60)
        exact = trained("pipeline-unlimited-none", PIPELINE, UNLIMITED, steps)
        pairs = [(trained(f"pipeline-100-{plain(codec)}", PIPELINE, FAR, steps, codecs=both(codec)),
                  trained(f"pipeline-unlimited-{plain(codec)}", PIPELINE, UNLIMITED, min(steps, 30), codecs=both(codec)))
                 for codec in ACTIVATIONS]
        far, near = [pair[0] for pair in pairs], [exact, *(pair[1] for pair in pairs)]
        cells = (exact, *(cell for pair in pairs for cell in pair))
        return [Row("pipeline", 0.95, False, cells, lambda kept: speeds(kept, good(kept, far, exact), near)),
                Row("pipeline-loss", LOSS, True, cells, lambda kept: losses(kept, good(kept, far, exact), exact), True)]

    def sync(self):
        """With codecs against without. Without them a line changes no bit, so the loss is that on the unlimited line, sooner."""
        steps = self.count(200)
        none = trained("sync-50-none", SYNC, SLOW, min(steps, 12))
        exact = trained("sync-unlimited-none", SYNC, UNLIMITED, steps)
        packed = [trained(f"sync-50-{plain(codec)}", SYNC, SLOW, steps, codecs={"gradients": codec}) for codec in GRADIENTS]
        cells = (none, exact, *packed)
        self.packed, self.exact, self.none = packed, exact, none
        return [Row("sync", 5, False, cells, lambda kept: speeds(kept, good(kept, packed, exact), [none])),
                Row("sync-loss", LOSS, True, cells, lambda kept: losses(kept, good(kept, packed, exact), exact), True)]

    def local(self):
        """Datacenters by themselves: a line against none, their loss against lock-step's of as many tokens, and bytes. Speeds on both
        lines are those of one run on them in turns: runs one after another differ by more than a line makes."""
        steps = self.count(LONG)
        told = {"datacenters": local_steps(*TOLD), "learning_rate": RATE}
        slow = trained("local-50", LOCAL, SLOW, steps, **told)
        far = trained("local-10", LOCAL, LOSSY, steps, **told)
        turns = [trained(f"local-{rate}-turns", LOCAL, on, min(steps, 1600), turns=in_turns(60), **told) for rate, on in ((50, SLOW), (10, LOSSY))]
        exact = alone_here("sync-long", steps, EXACT_RATE)
        pace = [trained(f"local-paced-{pace}", LOCAL, SLOW, min(steps, 240), paced=PACED,
                        datacenters={**local_steps(16, *TOLD[1:]), "pace": pace}) for pace in ("own", "equal")]
        return [self.tuning(), Row("local-50-speed", 0.97, False, turns[:1], lambda kept: alone(kept, turns[0], "kept_of_turns")),
                Row("local-10-speed", 0.95, False, turns[1:], lambda kept: alone(kept, turns[1], "kept_of_turns")),
                Row("local-loss", LOSS, True, (exact, slow), lambda kept: losses(kept, [slow], exact), True),
                Row("local-10-loss", LOSS, True, (exact, far), lambda kept: losses(kept, [far], exact), True),
                Row("local-bytes", 400, False, (self.none, slow), lambda kept: carried(kept, self.none, slow), True),
                Row("half-as-fast", 1.4, False, tuple(pace), lambda kept: medians(kept, "tokens_per_second_to_the_end", pace[:1], pace[1:]))]

    def tuning(self):
        """The least loss of local steps against lock-step's, each of its trials, after 1.6 million tokens."""
        steps = self.count(1562)
        own = [trained("-".join(["tune-local", *map(plain, map(str, told)), f"{rate:g}"]), LOCAL, UNLIMITED, steps,
                       datacenters=local_steps(*told), learning_rate=rate) for told, rate in TRIALS]
        exact = [alone_here(f"tune-sync-{rate:g}", steps, rate) for rate in RATES]
        self.trial = own[0]  # of the settings that rows are about
        return Row("tuning", None, True, (*own, *exact), lambda kept: least(kept, "validation_loss", own, exact), True)

    def changes(self):
        """A line that gets slower in the middle of the steps, and one that is cut for a minute: what the first datacenter keeps of its
        speed. West is cut off from the scheduler, too, and goes on by itself."""
        slower = trained("local-200-to-10", LOCAL, line(200, 20), self.count(1600), datacenters=local_steps(16, *TOLD[1:]), change="rate 10mbit")
        cut = trained("local-50-cut", LOCAL, SLOW, self.trial.settings["steps"], datacenters=local_steps(*TOLD), learning_rate=RATE, cut=60)
        return [Row("adapt-seconds", 10, True, (slower,), lambda kept: alone(kept, slower, "adapt_seconds")),
                Row("adapt", 0.9, False, (slower,), lambda kept: alone(kept, slower, "kept")),
                Row("cut", 0.98, False, (cut,), lambda kept: alone(kept, cut, "kept_while_cut")),
                Row("cut-loss", LOSS, True, (cut, self.trial), lambda kept: losses(kept, [cut], self.trial), True)]

    def encryption(self):
        """Nothing of Atoll's goes unsealed, so plain TCP has the same line to itself with as many flows."""
        common = {"line": SLOW, "flows": 8, "congestion": "bbr", "seconds": min(self.count(20), 20)}
        sealed, open_ = Cell("sealed-50", "stream", common), Cell("plain-50", "flow", common)
        return [Row("encryption", 0.99, False, (sealed, open_), lambda kept: medians(kept, "mbit", [sealed], [open_]))]

    def ddp(self):
        """The fastest of DDP's settings that change no gradient, and the fastest of all."""
        steps = min(self.count(6), 6)
        base = {"line": SLOW, "steps": steps, "bucket_mb": 25, "hook": "none", "allocator": "tcmalloc"}
        exact = [Cell(f"ddp-50-bucket-{size}", "ddp", with_(base, bucket_mb=size)) for size in (1, 5, 25, 100)]
        exact.append(Cell("ddp-50-glibc", "ddp", with_(base, allocator="glibc")))
        lossy = [Cell(f"ddp-50-{plain(hook)}", "ddp", with_(base, hook=hook)) for hook in ("fp16", "bf16", "power-sgd:4")]
        ours = self.packed
        cells = (*exact, *lossy, self.none, self.exact, *ours)
        return [Row("ddp", self.ddp_target, False, cells, lambda kept: speeds(kept, good(kept, ours, self.exact), exact)),
                Row("ddp-hooks", None, False, cells, lambda kept: speeds(kept, good(kept, ours, self.exact), exact + lossy))]

    def ddp_target(self, kept):
        """Where products have no AMX a step takes so long that no 20 are to be had: then nine tenths of what a line costs that
        carries whole gradients behind each step, beside a step without one."""
        if "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text():
            return 20
        step, payload = kept.median(self.exact, "step_seconds"), kept.median(self.none, "payload_bytes")
        if step is None or payload is None:
            return None
        gradients = payload / 2 / self.none.settings["steps"]
        carried = 8 * gradients / (1e6 * self.none.settings["line"]["rate"])
        return 0.9 * (carried + step) / step

    def predict(self):
        """What a line leaves of the tokens a second that there are on the unlimited one, within a run on both in turns: the farthest that
        its prediction was off, as a share of what was measured."""
        def turned(name, base, round_trip, turn, **settings):
            turn = min(turn, self.count(turn))
            return [trained(f"predict-{name}-{rate}", base, line(rate, round_trip), WARM + TURNS * turn, turns=in_turns(turn), evaluation=0, **settings)
                    for rate in PREDICTED_RATES]

        shared = [*turned("sync", SYNC, 50, 12, codecs={"gradients": "int4"}), *turned("pipeline", PIPELINE, 40, 5, codecs=both("int8"))]
        local = [cell for inner, turn in PREDICTED_INNER.items()
                 for cell in turned(f"local-{inner}", LOCAL, 50, turn, datacenters=local_steps(inner, min(inner, 4), "int4+zstd"),
                                    sequences=SYNC["sequences"])]
        return [Row(name, 0.10, True, tuple(cells), lambda kept, cells=cells: errors(kept, cells))
                for name, cells in (("predict", shared), ("predict-local", local))]


def in_turns(steps):
    return {"line": UNLIMITED, "steps": steps}


def both(codec):
    """Of a pipeline: what crosses with each micro-batch, and once a step the embedding, which the head shares, and its gradient."""
    return {"activations": codec, "gradients": "bf16+zstd", "weights": "bf16+zstd"}


def local_steps(inner, fragments, codec, rate=0.7, momentum=0.6):
    return {"mode": "local_steps", "inner_steps": inner, "fragments": fragments, "codec": codec, "outer_learning_rate": rate,
            "outer_momentum": momentum}


def carried(kept, exact, packed):
    """Bytes of a step on the line, frames and all, of lock-step in fp32 against another's."""
    def of_step(cell):
        runs = [sum(run["line_bytes"]) / cell.settings["steps"] for run in kept.runs(cell)]
        return statistics.median(runs) if runs else None

    if not of_step(exact) or not of_step(packed):
        return None
    return of_step(exact), of_step(packed), f"{exact.name} against {packed.name}"


def good(kept, cells, exact):
    """Of those measured so far, the ones whose loss is near enough that of `exact`; where none is, the nearest."""
    ratios = {cell.name: kept.paired(cell, exact, "validation_loss") for cell in cells}
    known = [cell for cell in cells if ratios[cell.name] is not None]
    near = [cell for cell in known if ratios[cell.name] <= LOSS]
    return near or sorted(known, key=lambda cell: ratios[cell.name])[:1]


def fastest(kept, cells, figure):
    known = [cell for cell in cells if kept.median(cell, figure) is not None]
    return max(known, key=lambda cell: kept.median(cell, figure), default=None)


def medians(kept, figure, ours, theirs):
    """The best of each side."""
    one, other = fastest(kept, ours, figure), fastest(kept, theirs, figure)
    if one is None or other is None:
        return None
    note = "; ".join(f"{cell.name} {kept.median(cell, figure):.5g} ({kept.spread(cell, figure)}, {len(kept.runs(cell))} runs)"
                     for cell in (one, other))
    return kept.median(one, figure), kept.median(other, figure), note


def least(kept, figure, ours, theirs):
    """The best of each side, where less is better; all are said."""
    known = [[cell for cell in cells if kept.runs(cell)] for cells in (ours, theirs)]
    if not all(known):
        return None
    best = [min(kept.median(cell, figure) for cell in cells) for cells in known]
    return *best, "; ".join(f"{cell.name} {kept.median(cell, figure):.5g}" for cells in known for cell in cells)


def alone(kept, cell, figure):
    """A figure that is a ratio already, or seconds."""
    if kept.median(cell, figure) is None:
        return None
    return kept.median(cell, figure), None, f"{cell.name} ({kept.spread(cell, figure)}, {len(kept.runs(cell))} runs)"


def speeds(kept, ours, theirs):
    return medians(kept, "tokens_per_second", ours, theirs)


def losses(kept, ours, exact):
    """Of the cell whose speed counts."""
    cell = fastest(kept, ours, "tokens_per_second")
    if cell is None or not kept.runs(exact):
        return None
    pairs = min(len(kept.runs(cell)), len(kept.runs(exact)))
    ratio = kept.paired(cell, exact, "validation_loss")
    reference = kept.median(exact, "validation_loss")
    return ratio * reference, reference, f"{cell.name} against {exact.name}, the median of {pairs} ratios of runs with one seed"


def errors(kept, cells):
    known = [cell for cell in cells if kept.runs(cell)]
    if not known:
        return None
    off, said = [], []
    for cell in known:
        measured, predicted = kept.median(cell, "kept_of_turns"), kept.median(cell, "predicted_kept")
        off.append(abs(predicted - measured) / measured)
        said.append(f"{cell.name} {predicted:.3f} predicted, {measured:.3f} measured ({kept.spread(cell, 'kept_of_turns')})")
    return max(off), None, "; ".join(said)
