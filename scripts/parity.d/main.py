"""Writes the references, or compares those that are committed with new ones.

Every other file of this folder has a function `write(folder)`. Files are safetensors (arrays by name) or
JSON (plain numbers). New ones are expected to be bit-equal on the processor that made the committed
ones; another processor may sum in another order, so that `--check` allows a relative difference of
TOLERANCE, as the tests in Rust do.
"""

import importlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

TOLERANCE = 1e-5
COMMITTED = Path(__file__).parents[2] / "tests" / "parity"
LIMIT = 3_000_000  # bytes of all files together


def write_all(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    for name in sorted(path.stem for path in Path(__file__).parent.glob("*.py")):
        if name not in ("main", "common"):
            print(f"parity: {name}", file=sys.stderr)
            torch.manual_seed(0)
            importlib.import_module(name).write(folder)


def numbers(value, path=""):
    """All numbers of a JSON value, by their path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, np.asarray(value, dtype=np.float64)


def arrays(path: Path) -> dict:
    if path.suffix == ".json":
        return dict(numbers(json.loads(path.read_text())))
    return load_file(path)


def difference(old: np.ndarray, new: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    if old.shape != new.shape:
        return float("inf")
    if old.size == 0 or np.array_equal(old, new, equal_nan=True):
        return 0.0
    old, new = old.astype(np.float64), new.astype(np.float64)
    scale = max(float(np.nanmax(np.abs(old))), 1e-30)
    worst = float(np.nanmax(np.abs(old - new))) / scale
    return worst if np.array_equal(np.isnan(old), np.isnan(new)) else float("inf")


def check() -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder))
        new, old = ({p.name: p for p in Path(f).iterdir()} for f in (folder, COMMITTED))
        for name in sorted(new.keys() ^ old.keys()):
            print(f"{name}: only {'made anew' if name in new else 'committed'}")
            failures += 1
        for name in sorted(new.keys() & old.keys()):
            if new[name].read_bytes() == old[name].read_bytes():
                print(f"{name}: bit-equal")
                continue
            before, after = arrays(old[name]), arrays(new[name])
            worst = max((difference(before[k], after[k]) for k in before.keys() & after.keys()), default=0.0)
            is_same = before.keys() == after.keys() and worst <= TOLERANCE
            print(f"{name}: {'equal' if is_same else 'NOT EQUAL'}, largest relative difference {worst:.1e}")
            failures += not is_same
    return 1 if failures else 0


def main() -> int:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if sys.argv[1:] == ["--check"]:
        return check()
    COMMITTED.mkdir(exist_ok=True)
    write_all(COMMITTED)
    total = sum(path.stat().st_size for path in COMMITTED.iterdir())
    print(f"parity: {total} bytes in {COMMITTED}", file=sys.stderr)
    if total > LIMIT:
        print(f"parity: more than {LIMIT} bytes: make the references smaller", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
