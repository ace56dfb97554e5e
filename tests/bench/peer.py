"""PyTorch as a peer: the configurations worth trying, and the search for the best of them."""

import dataclasses
import pathlib

import runner

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "bench-python"
LIBRARIES = HOME / "allocators/usr/lib/x86_64-linux-gnu"

# What each precision of ours may be held against. Plain fp32 stands for bf16 too: it is what a user takes on a
# processor where PyTorch's bf16 is slower.
PRECISIONS = {"fp32": ["fp32"], "bf16": ["fp32", "bf16", "bf16-pure", "bf16-products"]}
COMPILED = ["compile", "compile-max"]

# Keeping freed memory spares a training step the page faults of its activations; huge pages spare the rest.
ALLOCATORS = {
    "glibc": {},
    "glibc, kept": {
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
        "MALLOC_TOP_PAD_": str(64 << 20),
    },
    "jemalloc": {
        "LD_PRELOAD": str(LIBRARIES / "libjemalloc.so.2"),
        "MALLOC_CONF": "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0",
    },
    "tcmalloc": {"LD_PRELOAD": str(LIBRARIES / "libtcmalloc_minimal.so.4"), "TCMALLOC_RELEASE_RATE": "0"},
}

TRIAL_STEPS = 4
TRIAL_LIMIT_S = 100
# A first compilation may take long; its result is cached, so that it is not part of any trial.
COMPILE_LIMIT_S = 900


@dataclasses.dataclass(frozen=True)
class Settings:
    """One way to run PyTorch."""

    threads: int
    precision: str
    mode: str = "eager"
    allocator: str = "glibc"
    openmp: str = "gomp"

    def __str__(self):
        return f"{self.precision}, {self.mode}, {self.allocator}, {self.openmp}"

    def environment(self, cpus):
        """Variables that must stand before the process starts."""
        variables = {
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "TORCHINDUCTOR_CACHE_DIR": str(HOME / "inductor"),
            **ALLOCATORS[self.allocator],
        }
        if self.openmp == "gomp":
            variables["GOMP_CPU_AFFINITY"] = " ".join(map(str, cpus))
            return variables
        preloaded = [str(HOME / "lib/libiomp5.so"), variables.get("LD_PRELOAD", "")]
        variables["LD_PRELOAD"] = ":".join(filter(None, preloaded))
        variables["KMP_AFFINITY"] = "granularity=fine,compact,1,0"
        return variables

    def command(self, steps, warmup):
        """The measuring process."""
        return [
            str(HOME / "bin/python"), str(ROOT / "tests/bench/torch_gpt.py"), "--threads", str(self.threads),
            "--precision", self.precision, "--mode", self.mode, "--steps", str(steps), "--warmup", str(warmup),
        ]


class Peer:
    """Runs PyTorch and remembers what the trials showed."""

    def __init__(self, lock):
        if not (HOME / "complete").exists():
            raise runner.Failed("build/bench-python is missing; run scripts/bench-python")
        self._lock = lock
        self._trials = {}

    def run(self, settings, steps, timeout=600):
        """One process, `steps` timed steps."""
        cpus = runner.distinct_cores(settings.threads)
        return runner.run(settings.command(steps, warmup=2), cpus, settings.environment(cpus), timeout, self._lock)

    def trials(self, precision, threads):
        """Every tried configuration with its answer."""
        key = (precision, threads)
        if key not in self._trials:
            self._trials[key] = self._search(precision, threads)
        return self._trials[key]

    def fastest(self, precision, threads):
        """The settings with the highest median of tokens per second, and why."""
        return choose(self.trials(precision, threads), speed, max, "tokens/s")

    def smallest(self, precision, threads):
        """The settings that add the least memory to what stands after start-up, and why."""
        return choose(self.trials(precision, threads), added_memory, min, "bytes")

    def _search(self, precision, threads):
        """Precision first, then compilation, allocator, OpenMP runtime: each from the best so far.

        Compilation is asked again at the end, since what it gains depends on the allocator.
        """
        results = {}
        runner.say(f"PyTorch's best settings for {precision}, {threads} thread(s):")
        for each in PRECISIONS[precision]:
            self._try(Settings(threads, each), results)
        worth_compiling = [s for s in results if speed(results[s]) > 0.5 * speed(results[leader(results)])]
        for settings in worth_compiling:
            for mode in COMPILED:
                self._try(dataclasses.replace(settings, mode=mode), results)
        for allocator in ALLOCATORS:
            self._try(dataclasses.replace(leader(results), allocator=allocator), results)
        if threads > 1:
            self._try(dataclasses.replace(leader(results), openmp="iomp"), results)
        for mode in ["eager", *COMPILED]:
            self._try(dataclasses.replace(leader(results), mode=mode), results)
        return results

    def _try(self, settings, results):
        """Adds a short run to the results; a configuration that fails or crawls is named and left out."""
        if settings in results:
            return
        try:
            if settings.mode in COMPILED:
                self._compile(settings)
            answer = self.run(settings, TRIAL_STEPS, TRIAL_LIMIT_S)
        except runner.Failed as failure:
            runner.say(f"  {settings}: left out, {failure}")
            return
        results[settings] = answer
        runner.say(f"  {settings}: {speed(answer):.0f} tokens/s, {added_memory(answer) / 2**20:.0f} MiB")

    def _compile(self, settings):
        """Fills the compiler's cache."""
        cpus = runner.distinct_cores(settings.threads)
        with runner.held(self._lock):
            runner.run_once(settings.command(1, warmup=0), cpus, settings.environment(cpus), COMPILE_LIMIT_S)


def speed(answer):
    """Median tokens per second."""
    return answer["tokens_per_second"]


def leader(results):
    """The fastest settings so far."""
    if not results:
        raise runner.Failed("no configuration of PyTorch ran")
    return max(results, key=lambda settings: speed(results[settings]))


def added_memory(answer):
    """What building and training the model added to the resident memory, at its peak."""
    return answer["peak_rss_bytes"] - answer["standing_rss_bytes"]


def choose(results, measure, pick, unit):
    """The best settings by a measure, and a sentence that says why."""
    ranked = sorted(results, key=lambda s: measure(results[s]), reverse=pick is max)
    best = ranked[0]
    why = f"best of {len(ranked)} tried: {measure(results[best]):.0f} {unit}"
    if len(ranked) > 1:
        why += f"; next was {ranked[1]} with {measure(results[ranked[1]]):.0f}"
    return best, why
