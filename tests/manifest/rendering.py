"""Problems as plain lines, and the sink that tests load into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.core.diagnostics.problem import Problem
from runner.core.manifest.model import QueueSelection
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.manifest.load import DuplicateRows, Loaded, load


class ListSink:
    """Keeps rows in memory and finds repeats by looking at all of them."""

    def __init__(self) -> None:
        self.rows: list[TransferRow] = []
        self.selections: list[QueueSelection] = []

    def add(self, row: TransferRow) -> None:
        self.rows.append(row)

    def add_all(self, rows: RowColumns) -> None:
        for row in zip(*rows, strict=True):
            self.add(TransferRow(*row))

    def select(self, selection: QueueSelection) -> None:
        self.selections.append(selection)

    def protect(self, interaction_id: str, source: str) -> None:
        raise AssertionError((interaction_id, source))

    def destinations(self) -> list[str]:
        return [row.destination_uri for row in self.rows]

    def rows_to(self) -> Mapping[str, int]:
        return Counter(self.destinations())

    def repeats(self, limit: int) -> Sequence[DuplicateRows]:
        found: list[DuplicateRows] = []
        seen: dict[tuple[str, str], int] = {}
        for number, row in enumerate(self.rows):
            for kind, value in (("key", row.key), ("interaction", row.interaction_id)):
                first = seen.setdefault((kind, value), number)
                if first != number:
                    found.append(DuplicateRows(kind, value, first, number))
        return found[:limit]


def load_rows(
    path: Path, environment: str | None = None, *, offline: bool = True
) -> tuple[Loaded, list[TransferRow]]:
    """Load a manifest into memory."""
    sink = ListSink()
    return load(path, environment=environment, sink=sink, offline=offline), sink.rows


def rendered(problems: Sequence[Problem]) -> str:
    """Return one line for each problem."""
    return "".join(
        f"{p.place}: {p.severity}[{p.code}] {p.message} | help: {p.help}\n" for p in problems
    )
