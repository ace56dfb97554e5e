"""Holds Atoll's ops against PyTorch: the same inputs in f32, on the CPU and by the plain kernels.

usage: ops_compare.py PATH_OF_reference_ops [PART_OF_A_NAME]
Exits 0 when all agree, 1 when not, 77 (skipped, for ctest) without PyTorch.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
except ImportError as missing:
    print(f"SKIPPED: {missing}; install python3-torch to compare Atoll with PyTorch")
    sys.exit(77)

import ops_cases

DTYPES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.bool: "bool",
}
# How numpy, which knows no bf16, reads each.
RAW = {"f32": "f4", "f64": "f8", "f16": "f2", "bf16": "u2", "i32": "i4", "i64": "i8", "bool": "?"}


def write_tensor(folder, name, tensor):
    """What a tensor is; one whose axes are permuted is written as it lies, with the way back."""
    order = sorted(range(tensor.dim()), key=lambda axis: -tensor.stride(axis))
    about = {"file": name, "dtype": DTYPES[tensor.dtype]}
    if not tensor.is_contiguous():
        about["order"] = [order.index(axis) for axis in range(tensor.dim())]
        tensor = tensor.permute(order)
        assert tensor.is_contiguous(), f"{name} is not a permutation of what lies in order"
    about["shape"] = list(tensor.shape)
    raw = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    raw.numpy().tofile(folder / name)
    return about


def read_tensor(folder, about):
    raw = numpy.fromfile(folder / about["file"], dtype=RAW[about["dtype"]])
    if about["dtype"] == "bf16":
        raw = (raw.astype("u4") << 16).view("f4")
    return torch.from_numpy(raw.astype("f8").reshape(about["shape"]))


def write_cases(folder, cases):
    def tensors(case, kind):
        return [
            write_tensor(folder, f"{case.name}.{kind}.{i}", t.detach())
            for i, t in enumerate(getattr(case, kind))
        ]

    about = [
        {
            "name": case.name,
            "op": case.op,
            "attributes": case.attributes,
            "inputs": tensors(case, "inputs"),
            "writes": tensors(case, "writes"),
        }
        for case in cases
    ]
    (folder / "cases.json").write_text(json.dumps(about))


def difference(ours, theirs):
    """max |ours - theirs| / max |theirs| of finite numbers; infinite where the others differ."""
    theirs = theirs.detach().double()
    if ours.shape != theirs.shape:
        return float("inf")
    finite = theirs.isfinite()
    if not torch.equal(ours[~finite].nan_to_num(), theirs[~finite].nan_to_num()):
        return float("inf")
    if not bool(finite.any()):
        return 0.0
    apart = (ours[finite] - theirs[finite]).abs().max()
    apart = apart if not bool(apart.isnan()) else float("inf")
    return float(apart / theirs[finite].abs().max().clamp_min(1e-30))


def compare(folder, cases):
    results = json.loads((folder / "results.json").read_text())
    failures, worst = 0, {}
    for case in cases:
        for device, outputs in results[case.name].items():
            assert len(outputs) == len(case.expected), case.name
            for i, (about, theirs) in enumerate(zip(outputs, case.expected)):
                error = difference(read_tensor(folder, about), theirs)
                worst[device] = max(worst.get(device, 0.0), error)
                if not error <= case.tolerance:
                    failures += 1
                    print(f"FAILED: {case.name}, output {i} on {device}: difference {error:.2e}")
    figures = ", ".join(f"{error:.1e} {device}" for device, error in worst.items())
    print(f"{len(cases)} cases of {len({c.op for c in cases})} ops; largest differences: {figures}")
    return failures == 0


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    cases = [case for case in ops_cases.all_cases() if part in case.name]
    assert len({case.name for case in cases}) == len(cases), "two cases of one name"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_cases(folder, cases)
        subprocess.run([sys.argv[1], folder], check=True)
        sys.exit(0 if compare(folder, cases) else 1)


if __name__ == "__main__":
    main()
