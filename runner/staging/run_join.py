"""Two runs' transfers joined by key, on disk: memory stays flat whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from runner.core.records.comparison import ComparedTransfer, Difference
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.staging.temporary_database import Scratch

CHUNK = 1000

_TABLES = """
CREATE TABLE before(key TEXT, outcome TEXT, reason TEXT, interaction TEXT, destination TEXT);
CREATE TABLE after(key TEXT, outcome TEXT, reason TEXT, interaction TEXT, destination TEXT);
"""
# Sorted once they are all there: a million keys inserted in no order would shuffle the whole file.
_KEYS = "CREATE INDEX keys_before ON before(key); CREATE INDEX keys_after ON after(key);"
_DIFFERING = (
    "SELECT b.*, a.* FROM before b LEFT JOIN after a ON a.key = b.key WHERE a.key IS NULL"
    " OR (a.outcome, a.interaction, a.destination) != (b.outcome, b.interaction, b.destination)"
    " ORDER BY b.rowid"
)
_LISTED = (
    "SELECT b.*, a.* FROM after a LEFT JOIN before b ON b.key = a.key WHERE b.key IS NULL"
    " ORDER BY a.rowid"
)


class RunJoin(Scratch):
    """A temporary file of two runs' transfers; gone when closed. Raises `StorageError`."""

    def __init__(self) -> None:
        super().__init__(_TABLES, "the runs cannot be compared")

    def add_before(self, transfers: Iterable[TransferRecord]) -> None:
        """Keep the first run's transfers."""
        self._add("INSERT INTO before VALUES (?, ?, ?, ?, ?)", transfers)

    def add_after(self, transfers: Iterable[TransferRecord]) -> None:
        """Keep the second run's transfers."""
        self._add("INSERT INTO after VALUES (?, ?, ?, ?, ?)", transfers)

    def differences(self) -> Iterator[Difference]:
        """Yield each key that is not the same in both runs, in the order of their manifests."""
        with self._working():
            self._connection.executescript(_KEYS)
            for query in (_DIFFERING, _LISTED):
                for row in self._connection.execute(query):
                    before, after = row[:5], row[5:]
                    yield Difference(before[0] or after[0], _side(before), _side(after))

    def _add(self, statement: str, transfers: Iterable[TransferRecord]) -> None:
        rows = (
            (t.key, t.outcome.value, t.reason, t.interaction_id, t.destination_uri)
            for t in transfers
        )
        with self._working():
            self._connection.execute("BEGIN")
            while chunk := list(islice(rows, CHUNK)):
                self._connection.executemany(statement, chunk)
            self._connection.execute("COMMIT")


def _side(row: tuple[str | None, ...]) -> ComparedTransfer | None:
    key, outcome, reason, interaction, destination = row
    if key is None:
        return None
    return ComparedTransfer(Outcome(outcome or ""), reason, interaction or "", destination or "")
