"""Rows of the table that the benchmarks print and docs/performance.md holds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
COMPILED = Path(tempfile.gettempdir()) / f"runner-benchmark-{os.getuid()}"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(ROOT),
    "PYTHONPYCACHEPREFIX": str(COMPILED),  # as an installed program is: compiled once
}

HEADER = (
    "| what | ours | bare | ratio | goal | reached |\n| --- | ---: | ---: | ---: | ---: | --- |"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Without `bare` the goal is one for `own` itself, in its `unit`."""

    what: str
    own: float
    bare: float | None
    unit: str
    goal: float
    at_least: bool = False  # the goal is a lower bound

    @property
    def figure(self) -> float:
        """What is compared with the goal."""
        return self.own if self.bare is None else self.own / self.bare

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached."""
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal

    def __str__(self) -> str:
        bare = "" if self.bare is None else f"{_number(self.bare)} {self.unit}"
        ratio = "" if self.bare is None else f"{self.figure:.2f}"
        sign, unit = "≥" if self.at_least else "≤", "" if self.bare is not None else f" {self.unit}"
        verdict = "yes" if self.is_reached else "**no**"
        goal = f"{sign} {self.goal:g}{unit}"
        own = f"{_number(self.own)} {self.unit}"
        return f"| {self.what} | {own} | {bare} | {ratio} | {goal} | {verdict} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took; `said` is its output."""

    cpu_s: float
    peak_mb: float
    said: str


def cost(arguments: Sequence[str]) -> Cost:
    """Run this Python with `arguments` and return what it took, with the processes it started."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, cwd=ROOT, env=ENVIRONMENT
        )
        # A process inherits the peak of the one that started it: this one stays small.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().strip()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
    scale = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, said)


def by_turns(own: Sequence[str], bare: Sequence[str]) -> tuple[Cost, Cost]:
    """Return the costs of two programs, run by turns: of the round with the median ratio."""
    return middle(*rounds(own, bare))


def rounds(*programs: Sequence[str]) -> list[list[Cost]]:
    """Return the costs of each program in every round; in a round they run one after the other."""
    found = [[cost(program) for program in programs] for _ in range(ROUNDS)]
    return [list(costs) for costs in zip(*found, strict=True)]


def middle(own: Sequence[Cost], bare: Sequence[Cost]) -> tuple[Cost, Cost]:
    """Return the two costs of the round with the median ratio."""
    pairs = zip(own, bare, strict=True)
    ordered = sorted(pairs, key=lambda each: each[0].cpu_s / each[1].cpu_s)
    return ordered[statistics.median_low(range(len(ordered)))]


def print_rows(rows: Iterable[Row]) -> int:
    """Print rows as they come, with a header; return 1 if any goal is missed."""
    print(HEADER)
    missed = 0
    for row in rows:
        print(row, flush=True)
        missed += not row.is_reached
    return min(missed, 1)
