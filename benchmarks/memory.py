"""Measures the peak memory of `apply` with few and with many transfers: it must not grow with the batch.

    python benchmarks/memory.py

It prints a row of the table in docs/performance.md. `FEW` (20,000) and `MANY` (200,000) set other sizes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from table import Row, print_rows
from throughput import HERE, server, write_batch

FEW = int(os.environ.get("FEW", "20000"))
MANY = int(os.environ.get("MANY", "200000"))


def peak_mb(folder: Path, ports: tuple[int, int], rows: int) -> float:
    """Return the largest resident size of one `apply`, in MB."""
    write_batch(folder, ports, rows)
    command = [
        sys.executable, "-m", "runner", "apply", "manifest.yaml", "-q", "--output", "json",
    ]  # fmt: skip
    environment = os.environ | {
        "BENCH_ID": "id",
        "BENCH_SECRET": "secret",
        "PYTHONPATH": str(HERE.parent),
        "XDG_STATE_HOME": str(folder),
    }
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def rows(folder: Path) -> Iterator[Row]:
    """Yield the table's row."""
    peaks = []
    for number in (FEW, MANY):
        own = folder / str(number)
        own.mkdir()
        with server("aiohttp") as ports:
            peaks.append(peak_mb(own, ports, number))
    what = f"apply {MANY:,} transfers: peak memory beyond that of {FEW:,}"
    yield Row(what, max(peaks[1] - peaks[0], 0.0), None, "MB", 32)


def main() -> int:
    """Print the row."""
    with tempfile.TemporaryDirectory() as folder:
        return print_rows(rows(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
