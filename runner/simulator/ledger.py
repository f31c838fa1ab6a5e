"""Records what the gateway really did, to judge every promise of "exactly once".

In memory: a count by interaction and the latest entries. Optionally also a JSON Lines file that
survives the process: a line with `effect` is an effect, one without is a received frame.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from runner.core.errors import StorageError
from runner.core.frozen import frozen

_LATEST = 10_000
_ENCODER = json.JSONEncoder(separators=(",", ":"))


@frozen
class Received:
    """A request was read; `at` is seconds since the epoch."""

    at: float
    message_id: str
    interaction_id: str


@frozen
class Carried:
    """A transfer was carried out; `seq` counts effects from 1, `at` is seconds since the epoch."""

    seq: int
    at: float
    message_id: str
    interaction_id: str
    destination_uri: str
    effect: str = "carried_out"


class Ledger:
    """An append-only record. With a `path` it continues the file.

    Raises `StorageError` if the file cannot be read or written, or is not a ledger.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.effects: deque[Carried] = deque(maxlen=_LATEST)
        self.received: deque[Received] = deque(maxlen=_LATEST)
        self.effect_count = 0
        self.received_count = 0
        self._moves: Counter[str] = Counter()
        self._path = path
        self._file: int | None = None

    def open(self) -> Iterator[Carried]:
        """Open the file, if any, and yield its effects; exhaust it before adding anything."""
        if self._path is None:
            return
        try:
            self._file = _open_alone(self._path)
            _drop_torn_line(self._path)
            for entry in read_ledger(self._path):
                if isinstance(entry, Carried):
                    self._count(entry)
                    yield entry
                else:
                    self.received_count += 1
        except OSError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file; nothing is written to it afterwards."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def moves(self) -> Counter[str]:
        """Return how often each interaction was moved, over the whole ledger."""
        return Counter(self._moves)

    def add_received(self, message_id: str, interaction_id: str, at: float) -> None:
        """Add a request that was read."""
        entry = Received(at, message_id, interaction_id)
        self._write(entry)
        self.received.append(entry)
        self.received_count += 1

    def add_effect(
        self, message_id: str, interaction_id: str, destination_uri: str, at: float
    ) -> None:
        """Add an effect; after the return it survives the end of the process."""
        seq = self.effect_count + 1
        entry = Carried(seq, at, message_id, interaction_id, destination_uri)
        self._write(entry)
        self._count(entry)

    def _count(self, entry: Carried) -> None:
        self.effects.append(entry)
        self.effect_count = entry.seq
        self._moves[entry.interaction_id] += 1

    def _write(self, entry: Carried | Received) -> None:
        if self._file is None:
            return
        kept = {each.name: getattr(entry, each.name) for each in fields(entry)}
        line = _ENCODER.encode(kept).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise self._unusable(error) from error
        if written != len(line):
            raise StorageError(f"ledger {self._path}: a line was cut short; free disk space")

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(f"ledger {self._path}: {error.strerror}; name a writable file")


def _open_alone(path: Path) -> int:
    if path.exists() and not path.is_file():
        raise StorageError(f"ledger {path}: not a regular file; name another")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise StorageError(f"ledger {path}: another simulator writes it; name another") from error
    return file


def read_ledger(path: Path) -> Iterator[Carried | Received]:
    """Yield the entries of a ledger file. Raises `StorageError` at a line that is not one."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                fields: dict[str, Any] = json.loads(line)
                yield Carried(**fields) if "effect" in fields else Received(**fields)
            except (ValueError, TypeError) as error:
                advice = "name a new file or fix the line"
                raise StorageError(
                    f"{path}:{number}: not an entry of a ledger; {advice}"
                ) from error


def _drop_torn_line(path: Path) -> None:
    """Remove a last line that a kill left incomplete: its reply was never sent."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        start = max(0, end - 65_536)
        file.seek(start)
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)
