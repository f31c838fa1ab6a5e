"""Runs every benchmark and prints one table: the one that docs/performance.md holds.

    python benchmarks/all.py [--write]

`--write` puts the table into the document, with date, machine and command, and draws its picture. Exit
code 1 if a goal is missed. The scripts' variables (`SIZES`) set other sizes; with none, five rounds at the
sizes of the goals take a quarter of an hour on a quiet machine.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import genesys
import loading
import memory
import picture
import report
import stored_run
import throughput
from table import HEADER, ROUNDS, Row, print_rows

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
SIZES = (
    "ROUNDS", "ROWS", "CSV_ROWS", "STORED", "APPLIED", "FEW", "MANY", "PAGE", "WRITTEN",
    "CONVERSATIONS", "PER_MINUTE",
)  # fmt: skip
"""The scripts' variables; without them all sizes are those of the goals."""

BEGIN, END = "<!-- written by benchmarks/all.py -->", "<!-- end of the table -->"


def rows() -> Iterator[Row]:
    """Yield the rows of every script."""
    for script in (loading, stored_run, throughput, memory, report, genesys):
        with tempfile.TemporaryDirectory() as folder:
            yield from script.rows(Path(folder))


def written(measured: Sequence[Row]) -> None:
    """Put the rows into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    said = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with Python {platform.python_version()} on"
        f" {os.cpu_count()} processors ({_processor()}, {platform.system()} {_kernel()}),"
        f" load {load} at the end; medians of {ROUNDS}. Command: `{_command()}`."
    )
    table = "\n".join([HEADER, *map(str, measured)])
    made = f"{BEGIN}\n{said}\n\n{table}\n{END}"
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    DOCUMENT.write_text(pattern.sub(lambda _: made, text), encoding="utf-8")
    picture.main()


def _kernel() -> str:
    """Return the kernel's version, without what a distributor adds."""
    return platform.release().partition("-")[0]


def _processor() -> str:
    """Return the processor's name where the system says it, else its architecture."""
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.machine()


def _command() -> str:
    """Return the command with the sizes that were set."""
    sizes = [f"{name}={os.environ[name]}" for name in SIZES if name in os.environ]
    return " ".join([*sizes, "python benchmarks/all.py --write"])


def main() -> int:
    """Print the table, and write it where that is asked for."""
    measured: list[Row] = []

    def kept() -> Iterator[Row]:
        for row in rows():
            measured.append(row)
            yield row

    code = print_rows(kept())
    if "--write" in sys.argv[1:]:
        written(measured)
    return code


if __name__ == "__main__":
    sys.exit(main())
