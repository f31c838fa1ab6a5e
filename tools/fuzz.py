"""Looks for a manifest that breaks the loader: loading must end in a manifest or in problems.

`make fuzz` runs it for FUZZ_SECONDS (60). Inputs that reach new lines of the loader are kept and
changed further. An input that fails is written to `fuzz-failure.yaml`; the exit code is then 1.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from runner.core.manifest.model import DuplicateRows, QueueSelection
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.manifest import load as loading

ROOT = Path(__file__).parents[1]
SEEDS = sorted((ROOT / "tests" / "manifests").glob("*/*.yaml"))
SLOWEST_S = 2.0
"""CPU seconds that no input of a few kilobytes may take."""

LARGEST = 20_000
BITS = (
    *b"\0\t\n\r\x7f\x85\xff", *(b"%c" % c for c in b"[]{}:,-?!&*|>'\"#%@`<~."),
    b": ", b"- ", b"\n  ", b"\n---\n", b"\n...\n", b"&a ", b"*a", b"<<: *a", b"!!str ", b"!x ",
    b".nan", b"-.inf", b"1e999", b"0x", b"9007199254740993", b"null", b"true", b"''", b'""',
    b'"\\u2028"', b'"\\ud800"', b"\xe2\x80\xae", b"\xef\xbb\xbf", b"? ", b"[" * 40, b"{a: " * 40,
    b"{env: HOME}", b"{from: billing.csv}", b"x: " * 40, b"5%", b"10s", b"25/s", b"|2-\n",
)  # fmt: skip


class Rows:
    """Takes the rows and keeps none; two of one interaction are a repeat."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._destinations: set[str] = set()
        self._repeats: list[DuplicateRows] = []
        self._count = 0

    def select(self, selection: QueueSelection) -> None:
        """Take one selection."""

    def protect(self, interaction_id: str, source: str) -> None:
        """Take one interaction that is never moved."""

    def add(self, row: TransferRow) -> None:
        """Take one row."""
        self._destinations.add(row.destination_uri)
        self._add(row.interaction_id)

    def add_all(self, rows: RowColumns) -> None:
        """Take rows without faults."""
        self._destinations.update(rows.destination_uri)
        for interaction_id in rows.interaction_id:
            self._add(interaction_id)

    def _add(self, interaction_id: str) -> None:
        first = self._first.setdefault(interaction_id, self._count)
        if first != self._count:
            self._repeats.append(DuplicateRows("interaction", interaction_id, first, self._count))
        self._count += 1

    def destinations(self) -> set[str]:
        """Return where rows go."""
        return self._destinations

    def rows_to(self) -> Mapping[str, int]:
        """Return the number of rows by destination: here each is one."""
        return dict.fromkeys(self._destinations, 1)

    def repeats(self, limit: int) -> Sequence[DuplicateRows]:
        """Return the repeats found."""
        return self._repeats[:limit]


class Coverage:
    """Which lines of the loader were reached, ever and since `reset`."""

    def __init__(self) -> None:
        self.seen: set[tuple[CodeType, int]] = set()
        self.fresh = False
        self._package = str(Path(loading.__file__).parent)

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Note a line; frames outside the loader are not followed."""
        if event == "call" and not frame.f_code.co_filename.startswith(self._package):
            return None
        here = (frame.f_code, frame.f_lineno)
        if here not in self.seen:
            self.seen.add(here)
            self.fresh = True
        return self.trace


def mutated(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    """Return one of the pool with a few changes: bits put in, pieces cut, doubled or exchanged."""
    text = chance.choice(pool)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice((0, 0, 1, 2, 5, 20, 200)))
        other = chance.choice(pool)
        begin = chance.randint(0, len(other))
        piece = chance.choice(
            (
                b"",
                _bit(chance),
                _bit(chance),
                other[begin : begin + chance.choice((3, 30, 300))],
                text[at:end] * chance.choice((2, 3, 30)),
            )
        )
        text = (text[:at] + piece + text[end:])[:LARGEST]
    return text


def _bit(chance: random.Random) -> bytes:
    bit = chance.choice(BITS)
    return bytes((bit,)) if isinstance(bit, int) else bit


def judge(text: bytes, folder: Path) -> str | None:
    """Load one manifest; return what is wrong with how that ended, or None."""
    path = folder / "manifest.yaml"
    path.write_bytes(text)
    begin = time.process_time()
    try:
        loaded = loading.load(path, environment=None, sink=Rows(), offline=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        return f"raised {error!r}"
    took_s = time.process_time() - begin
    if took_s > SLOWEST_S:
        return f"took {took_s:.1f} s"
    if loaded.manifest is None and not loaded.problems:
        return "has neither manifest nor problems"
    if any(p.place.line < 1 or p.place.column < 1 or not p.message for p in loaded.problems):
        return "has a problem without a place or a message"
    return None


def hunt(seed: int, tries: Iterator[object], folder: Path) -> tuple[bytes, str] | int:
    """Try an input for each of `tries`; return the first that fails and why, else their number."""
    (folder / "billing.csv").write_text("interaction_id,destination_uri\na,tel:+44\n")
    chance, coverage = random.Random(seed), Coverage()  # noqa: S311 - to be repeatable
    pool = [path.read_bytes()[:LARGEST] for path in SEEDS]
    queue, tried = list(pool), 0
    before = sys.gettrace()
    for _ in tries:
        text = queue.pop() if queue else mutated(chance, pool)
        coverage.fresh = False
        sys.settrace(coverage.trace)
        try:
            why = judge(text, folder)
        finally:
            sys.settrace(before)
        if why is not None:
            return text, why
        tried += 1
        if coverage.fresh:
            pool.append(text)
    return tried


def until(deadline_s: float) -> Iterator[None]:
    """Yield until the monotonic clock reads `deadline_s`."""
    while time.monotonic() < deadline_s:
        yield


def main() -> int:
    """Hunt for FUZZ_SECONDS; FUZZ_SEED repeats a hunt."""
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    seed = int(os.environ.get("FUZZ_SEED", str(time.time_ns())))
    with tempfile.TemporaryDirectory() as folder:
        found = hunt(seed, until(time.monotonic() + seconds), Path(folder))
    if isinstance(found, int):
        print(f"{found:,} manifests loaded or refused as they should be (FUZZ_SEED={seed})")  # noqa: T201 - the result
        return 0
    Path("fuzz-failure.yaml").write_bytes(found[0])
    print(f"fuzz-failure.yaml {found[1]} (FUZZ_SEED={seed})", file=sys.stderr)  # noqa: T201 - the result
    return 1


if __name__ == "__main__":
    sys.exit(main())
