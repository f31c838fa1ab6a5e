"""Writes a journal as runs do, and says each event's number and hash once it is durable.

`python -m tests.chaos.journal_writer JOURNAL RUNS TRANSFERS SYNCHRONOUS CHECKPOINT_PAGES`
The store is the program's own; `SYNCHRONOUS` other than FULL is the planted fault, and small
checkpoints bring many of them into few events.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from runner.core.transfer.states import Event
from runner.journal.sqlite.store import Store
from tests.journal.builders import Written, begun, manifest_rows, opened


def write(journal: Path, runs: int, transfers: int, synchronous: str, pages: str) -> None:
    """Write runs, each through a store that is opened and closed."""
    chance = random.Random(transfers)
    for n in range(runs):
        store = opened(journal)
        store._connection.execute(f"PRAGMA wal_autocheckpoint={int(pages)}")
        if synchronous != "FULL":
            store._connection.execute(f"PRAGMA synchronous={synchronous}")
        store.recover(at=1_800_000_000.0)
        run = begun(store, manifest_rows(transfers * (n + 1))[transfers * n :])
        _say(store)
        _live(store, run, chance)
        run.finish()
        _say(store)
        store.close()


def _live(store: Store, run: Written, chance: random.Random) -> None:
    """Deliver what is planned, alone and in groups that share a commit."""
    left = [row.key for row in run.plan]
    while left:
        together, left = left[: (size := chance.randint(1, 6))], left[size:]
        store.record([run.life(key).intent() for key in together])
        _say(store)
        for key in together:
            if chance.random() < 0.9:
                run.go(key, Event.ACCEPTED, reason="codec_negotiated" * chance.randint(1, 60))
                _say(store)


def _say(store: Store) -> None:
    os.write(1, f"durable {store.seq} {store.head}\n".encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
