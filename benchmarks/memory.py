"""Measures the peak memory of `apply` with few and with many transfers: it must not grow with the batch.

    python benchmarks/memory.py [--few 20000] [--many 200000]

The difference may be 32 MB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from throughput import HERE, server, write_batch


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


def main() -> None:
    """Print the two peaks and their difference."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=200_000)
    asked = parser.parse_args()
    peaks = []
    for rows in (asked.few, asked.many):
        with server("aiohttp") as ports, tempfile.TemporaryDirectory() as folder:
            peaks.append(peak_mb(Path(folder), ports, rows))
            print(f"{rows:8} transfers  {peaks[-1]:6.1f} MB", flush=True)
    print(f"difference          {peaks[1] - peaks[0]:6.1f} MB (allowed: 32)")


if __name__ == "__main__":
    main()
