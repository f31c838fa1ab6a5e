"""A journal in a folder, and entries as the engine would make them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from runner.core.journal_location import JournalLocation
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.records.run_record import Figures, RunRecord
from runner.core.transfer.doubt_evidence import Baseline, SendClocks
from runner.core.transfer.reasons import Code
from runner.core.transfer.rows import PlannedRow, TransferRow
from runner.core.transfer.states import Event, State, step
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from runner.journals import journal_at
from runner.ports import Entry, Intent, Note, Notification
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Selection, Staging

ORIGIN = "wss://gw.example.net:443"
AT = 1_800_000_000.0
HERE, THERE = "genesys://queue/here", "genesys://queue/there"
VOICE = MediaMatrix(Audio("opus", 64, 16))
NARROW = MediaMatrix(Audio("pcmu", 64, 8))

RUN = RunRecord(
    id="run-1",
    batch="night",
    environment="production",
    driver="interaction-websocket",
    gateway="edge",
    started_at="2027-01-15T08:00:00.000000Z",
    finished_at=None,
    outcome="unfinished",
    exit_code=0,
    runner_version="0",
    host="h",
    user="u",
    labels={},
    manifest_path="m.yaml",
    manifest_sha256="0" * 64,
    options={},
)


OPEN: list[Store | Reader] = []
"""What tests have opened and need not close themselves: tests/journal/conftest.py does."""


def opened(path: Path, *, origin: str = ORIGIN) -> Store:
    """Open a journal for writing."""
    store = Store(path, environment="production", origin=origin)
    OPEN.append(store)
    return store


def located(path: Path) -> JournalLocation:
    """Return the location that names a journal's file."""
    return JournalLocation(str(path))


def reader_of(path: Path) -> Reader:
    """Open a journal for reading."""
    reader = Reader(path)
    OPEN.append(reader)
    return reader


def manifest_rows(
    number: int, *, destination_uri: str = HERE, callbacks: tuple[str, ...] = ()
) -> list[TransferRow]:
    """Return rows `k0`, `k1`, … that move `i0`, `i1`, …."""
    return [
        TransferRow(f"k{n}", f"i{n}", destination_uri, (VOICE, NARROW), callbacks, f"m.yaml:{n}")
        for n in range(number)
    ]


@dataclass
class Life:
    """One transfer on its way through a journal."""

    row: PlannedRow
    transfer_id: int
    run: str
    lineage: int | None = None
    state: State = State.READY
    version: int = 0
    n: int = 0
    message_id: str | None = None

    def entry(self, event: Event, *, at: float = AT, **told: Any) -> Entry:
        """Take a step and return its entry."""
        self.state = step(self.state, event)
        made = Entry(
            event, self.row, self.transfer_id, self.lineage or self.transfer_id, self.version,
            self.state, at, **told,
        )  # fmt: skip
        self.version += 1
        return made

    def intent(self, event: Event = Event.INTENT, baseline: Baseline | None = None) -> Entry:
        """Return a delivery's intent."""
        self.n += 1
        if event is Event.INTENT:
            self.message_id = f"{self.run}-{self.transfer_id}-{self.n}"
        assert self.message_id is not None
        hand_over = SendClocks(AT, "boot", 5.0, None)
        intent = Intent(self.n, self.message_id, 0, f'{{"n":{self.n}}}', hand_over, baseline)
        return self.entry(event, intent=intent)

    def answer(self, event: Event, reason: str = "", **told: Any) -> Entry:
        """Return what came of the last delivery, or of none."""
        if event is Event.EXCLUDED:
            told = {"reason_code": Code.INTERACTION_ENDED} | told
        if self.n == 0:
            return self.entry(event, reason=reason or event.value, **told)
        return self.entry(
            event,
            n=self.n,
            message_id=self.message_id,
            sent_at=AT,
            latency_ms=20.0,
            status=reason or event.value,
            reason=reason or event.value,
            **told,
        )


@dataclass
class Written:
    """A run in a journal, as the rows of a manifest led to it."""

    store: Store
    plan: Sequence[PlannedRow]
    batch: str = "night"
    lives: dict[str, Life] = field(default_factory=dict)

    def life(self, key: str) -> Life:
        """Return a transfer, taking its row up if nobody did."""
        if key not in self.lives:
            (row,) = [row for row in self.plan if row.key == key]
            self.store.last_transfer_id += 1
            self.lives[key] = Life(row, self.store.last_transfer_id, self.store.run_id, row.lineage)
        return self.lives[key]

    def go(self, key: str, *events: Event, reason: str = "") -> Life:
        """Deliver a transfer and let these events come of it."""
        life = self.life(key)
        for event in events:
            made = life.intent(event) if event in {Event.INTENT, Event.REPEATED} else None
            self.store.record([made or life.answer(event, reason)])
        return life

    def finish(self, outcome: str = "ok", exit_code: int = 0, **more: Any) -> None:
        """End the run; `more` are fields of its record."""
        ended = {
            "outcome": outcome,
            "exit_code": exit_code,
            "finished_at": "2027-01-15T08:00:09Z",
            **more,
        }
        named = {"id": self.store.run_id, "batch": self.batch}
        self.store.finish_run(asdict(RUN) | named | ended, asdict(Figures()), AT)


_runs = count(1)


def begun(
    store: Store,
    rows: Iterable[TransferRow],
    selection: Selection | None = None,
    batch: str = "night",
    *,
    waves: Sequence[int] = (),
    history: JournalAccess | None = None,
) -> Written:
    """Begin a run that plans these rows by the journal's history."""
    run_id = f"run-{next(_runs)}"
    record = asdict(RUN) | {"id": run_id, "batch": batch, "waves": waves}
    store.begin_run(run_id, record, at=AT)
    with Staging() as staging:
        for row in rows:
            staging.add(row)
        with (history or journal_at(located(store.path))).open_history() as earlier:
            staging.plan(earlier, selection or Selection())
        store.store_plan(staging.planned)
        return Written(store, [row for row, _ in staging.planned()], batch)


def asked(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the file itself, with a connection of one's own."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def chain_is_whole(path: Path) -> bool:
    """Verify the audit chain without any of the program's code."""
    head = "0" * 64
    for body, told in asked(path, "SELECT body, hash FROM events ORDER BY seq"):
        head = hashlib.sha256((head + body).encode()).hexdigest()
        if head != told:
            return False
    return True


def outcomes(path: Path, run: str = "latest") -> dict[str, str]:
    """Return every row's outcome, as a report would tell it."""
    reader = Reader(path)
    try:
        source = reader.report_source(reader.run_number(run))
        return {t.key: t.outcome.value for t in source.transfers()}
    finally:
        reader.close()


def note(event: str = "note", **fields: Any) -> Note:
    """Return a note."""
    return Note(event, AT, fields)


def owed(webhook_id: str, outcome: str = "transferred") -> Notification:
    """Return a callback that is owed."""
    return Notification(webhook_id, "crm", outcome, json.dumps({"outcome": outcome}))
