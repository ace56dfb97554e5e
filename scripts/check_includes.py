"""Holds every include against the table in ARCHITECTURE.md: includes go down only."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder -> folders of ours it may include beside itself; the longest matching prefix counts.
BASE = ["runtime/base"]
TENSOR = ["ops/tensor"]
ALLOWED = {
    "runtime/base": [],
    "configs/schema": [],
    "security": BASE + ["configs/schema"],
    "ops/tensor": BASE,
    "ops/catalog": BASE + TENSOR,
    "ops/reference": BASE + TENSOR + ["ops/catalog"],
    "ops/cpu": BASE + TENSOR + ["ops/catalog", "ops/primitive"],
    "ops/catalog/table.cc": BASE + TENSOR + ["ops/catalog", "ops/cpu", "ops/reference"],
    "ops/primitive": BASE + TENSOR,
    "ops/cpu/isa": ["ops/primitive"],
    "ops/functional": BASE + TENSOR + ["ops/catalog"],
    "ops/autograd": BASE + TENSOR + ["ops/catalog", "ops/functional"],
    "ops/nn": BASE + TENSOR + ["ops/catalog", "ops/functional", "ops/autograd"],
    "ops/plugin": BASE + TENSOR + ["ops/catalog"],
    "ops/tune": BASE + TENSOR + ["ops/catalog"],
    "ops/cuda": BASE + TENSOR + ["ops/catalog", "ops/primitive", "ops/plugin"],
    "ops/codec": BASE,
    "runtime/register": BASE + TENSOR,
    "runtime/device": BASE + TENSOR + ["ops/cpu/thread_pool.h", "ops/plugin"],
    "runtime/machine": BASE + ["ops/tune/cache.h"],
    "runtime/link": BASE + ["configs/schema"],
    "runtime/link/secure": BASE + ["configs/schema", "security", "runtime/link"],
    "runtime/link/channel": BASE + ["configs/schema", "security", "runtime/link"],
    "runtime/link/relay": BASE + ["configs/schema", "security", "runtime/link"],
    
    "collectives": BASE + ["runtime/link", "runtime/device", "ops"],
    "scheduler": BASE + ["configs/schema", "ops/catalog", "ops/nn/config", "ops/nn/config_json", "ops/nn/context_share",
                  "ops/nn/spec", "ops/nn/tensor_rank", "ops/tensor/dtype.h", "ops/codec"],
    "scheduler/service": BASE + ["runtime/link", "runtime/node", "configs/schema", "security", "scheduler"],
    "runtime/node": BASE + ["runtime/register", "runtime/device", "runtime/link", "configs/schema", "security",
                            "scheduler/plan", "scheduler/job"],
    "actors": BASE + ["runtime/register", "runtime/device", "runtime/link", "runtime/node", "configs/schema", "ops",
                      "collectives", "scheduler/plan", "scheduler/job"],
    "actors/metrics/translation": BASE,
    "runtime/app": ["actors", "collectives", "configs", "ops", "runtime", "scheduler", "security"],
    "tests": ["actors", "collectives", "configs", "ops", "runtime", "scheduler", "security"],
}
# Third-party headers that stay in their folders.
FOREIGN = {
    r"caf/": ["actors/core", "runtime/node", "runtime/app", "scheduler/service", "tests"],
    r"sodium\.h|sodium/": ["security", "actors/data/format", "tests/fuzz"],
    r"sqlite3\.h": ["scheduler/service", "tests"],
    r"dnnl": ["ops/cpu", "tests/bench"],
    r"cuda|cublas|cub/|nccl": ["ops/cuda", "runtime/device", "collectives/local"],
    r"uc[mpst]/": ["runtime/link/ucx"],
    r"hwloc": ["runtime/machine"],
    r"capnp/": ["configs/schema", "runtime/node", "scheduler/plan", "tests"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def under(path, prefix):
    return path == prefix or path.startswith(prefix + "/") or path.startswith(prefix + ".")


def rule_for(path):
    return max((key for key in ALLOWED if under(path, key)), key=len, default=None)


def problems(path):
    rule = rule_for(path)
    if rule is None:
        yield f"{path}: stands in no folder of the include table"
        return
    home = path.rsplit("/", 1)[0]
    for kind, name in INCLUDE.findall((ROOT / path).read_text()):
        if kind == '"':
            sibling = "/" not in name and (ROOT / home / name).exists()
            own = under(name, rule) or under(name, home) or sibling
            if not own and not any(under(name, allowed) for allowed in ALLOWED[rule]):
                yield f'{path}: may not include "{name}"; {rule} may include {", ".join(ALLOWED[rule]) or "nothing"}'
        for pattern, folders in FOREIGN.items():
            if kind == "<" and re.match(pattern, name) and not any(under(path, folder) for folder in folders):
                yield f"{path}: <{name}> stays in {', '.join(folders)}"


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.h", "*.cc", "*.cu", "*.cuh"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.split()
    found = [problem for path in files for problem in problems(path)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
