"""A run's metrics, which may still be written to."""
import json

# Steps that come first and do not count: kernels and codecs are chosen, connections find their speed.
WARM = 3


def losses_in(metrics):
    """The lines of steps. Whole ones only: the last may be half written."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if "loss" in line]
