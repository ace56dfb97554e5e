"""Opens a file our writer made with the reference `safetensors` package and checks every tensor.

usage: open_safetensors.py FILE.safetensors
Exits 0 when it opens, 1 when it does not, 77 (skipped) when the package is not installed.
"""

import sys


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        print("skipped: the Python package safetensors is not installed")
        return 77
    try:
        with safe_open(sys.argv[1], framework="numpy") as file:
            metadata = file.metadata() or {}
            for name in file.keys():
                tensor = file.get_tensor(name)
                print(f"{name}: {tensor.dtype} {list(tensor.shape)}")
    except (SafetensorError, OSError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    if metadata.get("format") != "pt":
        print(f"{sys.argv[1]}: the metadata lacks format: pt", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
