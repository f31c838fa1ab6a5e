"""What the journal knows at a glance: its runs, what is in doubt, one transfer by its key."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from runner.core.errors import StorageError, UsageError
from runner.core.records.audit_chain import GENESIS
from runner.core.records.row_text import read_ladder, read_names
from runner.core.records.run_record import AuditEntry, RunRecord
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan import Action, PlannedRow
from runner.core.transfer.states import OUTCOMES, State
from runner.journal.connection import reading
from runner.journal.format_check import read_waived

LATEST = "latest"

KEYS_COMPARED = 20_000
"""Keys that an unknown one is compared with."""

_RUNS = "SELECT no, record, finished_at IS NOT NULL FROM runs {where} ORDER BY no DESC LIMIT ?"
_COUNTS = (
    "SELECT r.action, t.state, c.state, count(*) FROM rows r"
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " LEFT JOIN transfers c ON c.id = r.claim"
    " WHERE r.run = ? GROUP BY r.action, t.state, c.state"
)
# Transfers that a run's rows stand for: its own, and those of earlier runs that they claim.
_OF_RUN = (
    "(SELECT r.n AS n, t.id AS id FROM rows r JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " WHERE r.run = ?1 UNION ALL SELECT r.n, r.claim FROM rows r"
    " WHERE r.run = ?1 AND r.claim IS NOT NULL) of"
    " JOIN rows r ON r.run = ?1 AND r.n = of.n JOIN transfers x ON x.id = of.id"
    " JOIN runs o ON o.no = x.run"
)
_HELD = "x.state IN ('sending', 'unknown', 'resending')"
_DOUBTS_OF_RUN = (
    "SELECT o.id, r.key, r.source, x.interaction_id, x.destination_uri, x.state, x.message_id,"  # noqa: S608 - of constants
    f" x.reason FROM {_OF_RUN} WHERE {_HELD} ORDER BY of.n LIMIT ?2"
)
_DOUBTS = f"SELECT count(*) FROM transfers x WHERE {_HELD}"  # noqa: S608 - of constants
_BY_KEY = (
    "SELECT r.n, r.key, x.interaction_id, x.destination_uri, l.media, r.callbacks, r.source,"  # noqa: S608 - of constants
    f" x.lineage, x.id, x.version, x.state, x.reason, o.id, o.batch FROM {_OF_RUN}"
    " JOIN ladders l ON l.id = r.ladder WHERE r.key = ?2 OR x.key = ?2"
    f" ORDER BY {_HELD} DESC, x.id DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run as the journal tells it now; `finished` False: it goes on, or it died."""

    no: int
    record: RunRecord
    finished: bool
    counts: Mapping[Outcome, int]  # what is under way counts as in doubt
    under_way: int
    not_selected: int


@dataclass(frozen=True, slots=True)
class DoubtSeen:
    """A transfer that is in doubt or under way, with its place in the manifest."""

    run: str  # the run that delivered it
    key: str
    source: str
    interaction_id: str
    destination_uri: str
    state: State
    message_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A transfer found by a run and a key, and the run that took it up."""

    row: PlannedRow
    transfer_id: int
    lineage: int
    version: int
    state: State
    reason: str | None
    run: str
    batch: str


class Overview:
    """A read-only connection; works while a run goes on.

    Raises `UsageError` if there is no such file, `StorageError` if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_file():
            raise StorageError(f"the journal {path} is not a file; name another with --journal")
        if not path.is_file():
            raise UsageError(
                f"there is no journal {path}: nothing was applied with it yet;"
                " name another with --journal, or the manifest with --manifest"
            )
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            with reading(path):
                self.meta: Mapping[str, str] = dict(
                    self._connection.execute("SELECT name, value FROM meta").fetchall()
                )
                self.lineage_id = self.meta["lineage"]
                if missing := {"environment", "origin"} - self.meta.keys():
                    raise KeyError(*missing)
        except StorageError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def runs(self, limit: int) -> list[RunSeen]:
        """Return the newest runs, newest first."""
        return self._runs("", limit)

    def run(self, run_id: str) -> RunSeen:
        """Return one run; `latest` is the newest. Raises `UsageError` naming the nearest."""
        found = self._runs("", 1) if run_id == LATEST else self._runs("WHERE id = ?", run_id, 1)
        if not found:
            raise self._unknown(run_id)
        return found[0]

    def number(self, run_id: str) -> int:
        """Return a run's number, without its counts; `latest` is the newest. Raises `UsageError`."""
        where, known = ("", ()) if run_id == LATEST else ("WHERE id = ?", (run_id,))
        found = self._rows(_RUNS.format(where=where), *known, 1)
        if not found:
            raise self._unknown(run_id)
        return int(found[0][0])

    def is_newest(self, run: int, other: str) -> bool:
        """Tell whether none of a run's batch began after it, nor did run `other` elsewhere.

        What another journal holds is known by its id alone, which begins with when it began.
        """
        query = "SELECT max(b.no) = a.no, a.id FROM runs a JOIN runs b USING (batch) WHERE a.no = ?"
        [(newest, run_id)] = self._rows(query, run)
        here = bool(self._rows("SELECT 1 FROM runs WHERE id = ?", other))
        return bool(newest) and (here or other <= run_id)

    def doubts(self) -> int:
        """Return how many transfers of the whole journal are in doubt or under way."""
        return int(self._rows(_DOUBTS)[0][0])

    def doubts_of(self, run: int, limit: int) -> list[DoubtSeen]:
        """Return what is in doubt or under way of a run's rows, in the manifest's order."""
        rows = self._rows(_DOUBTS_OF_RUN, run, limit)
        with reading(self.path):
            return [
                DoubtSeen(
                    run_id, key, source, interaction_id, uri, State(state), message_id, reason
                )
                for run_id, key, source, interaction_id, uri, state, message_id, reason in rows
            ]

    def find(self, run: RunSeen, key: str) -> Found | None:
        """Return the transfer that a run's row `key` stands for; None: it never had any.

        Raises `UsageError`, naming the nearest, if the run has no such key.
        """
        found = self._rows(_BY_KEY, run.no, key)
        if not found:
            if not self._rows("SELECT 1 FROM rows WHERE run = ? AND key = ?", run.no, key):
                raise UsageError(
                    f"run {run.record.id} has no key {key}; {self._nearest_key(run.no, key)}"
                )
            return None
        n, key, interaction_id, uri, media, callbacks, source, lineage, *transfer = found[0]
        transfer_id, version, state, reason, run_id, batch = transfer
        with reading(self.path):
            row = PlannedRow(
                n, key, interaction_id, uri, read_ladder(media), read_names(callbacks), source,
                lineage,
            )  # fmt: skip
            return Found(row, transfer_id, lineage, version, State(state), reason, run_id, batch)

    def last_event(self) -> tuple[int, str]:
        """Return number and hash of the chain's last event; (0, genesis): there is none."""
        rows = self._rows("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")
        return rows[0] if rows else (0, GENESIS)

    def has_event(self, seq: int, head: str) -> bool:
        """Tell whether the chain's event `seq` has the hash `head`."""
        if seq == 0:
            return True
        return bool(self._rows("SELECT 1 FROM events WHERE seq = ? AND hash = ?", seq, head))

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""
        return read_waived(self.meta)

    def last_transfer_id(self) -> int:
        """Return the newest transfer's id; 0: there is none."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM transfers")[0][0])

    def moved_since(self, transfer_id: int) -> dict[str, tuple[str, int, str]]:
        """Return what newer transfers carried out: interaction → (destination, transfer, run).

        Interactions are in their canonical spelling.
        """
        rows = self._rows(
            "SELECT x.interaction_id, x.destination_uri, x.id, o.id FROM transfers x"
            " JOIN runs o ON o.no = x.run WHERE x.id > ? AND x.state = 'transferred' ORDER BY x.id",
            transfer_id,
        )
        return {canonical_interaction(moved): (uri, by, run) for moved, uri, by, run in rows}

    def heads_before_runs(self) -> list[tuple[str, str, str | None]]:
        """Return (run, the hash it was told stood before it, the hash that stands there)."""
        return self._rows(
            "SELECT runs.id, runs.previous, coalesce((SELECT hash FROM events"
            " WHERE seq = (SELECT min(seq) FROM events WHERE run = runs.no) - 1), ?)"
            " FROM runs ORDER BY no",
            GENESIS,
        )

    def chain(self) -> Iterator[AuditEntry]:
        """Yield every event of the journal, oldest first."""
        with reading(self.path):
            for entry in self._connection.execute(
                "SELECT seq, body, hash FROM events ORDER BY seq"
            ):
                if not isinstance(entry[1], str):
                    raise TypeError("bytes in the place of a text")
                yield AuditEntry(*entry)

    def _runs(self, where: str, *parameters: object) -> list[RunSeen]:
        with reading(self.path):
            return [
                self._seen(no, RunRecord(**json.loads(record)), finished=bool(finished))
                for no, record, finished in self._rows(_RUNS.format(where=where), *parameters)
            ]

    def _seen(self, no: int, record: RunRecord, *, finished: bool) -> RunSeen:
        counts: Counter[Outcome] = Counter()
        under_way = not_selected = 0
        for action, own, claimed, number in self._rows(_COUNTS, no):
            counts[_outcome(Action(action), own, claimed)] += number
            under_way += number if _is_under_way(own or claimed) else 0
            not_selected += number if action == Action.NOT_SELECTED else 0
        return RunSeen(no, record, finished, counts, under_way, not_selected)

    def _unknown(self, run_id: str) -> UsageError:
        return UsageError(f"no run {run_id} in {self.path}; {self._nearest_run(run_id)}")

    def _nearest_run(self, run_id: str) -> str:
        known = [name for (name,) in self._rows("SELECT id FROM runs ORDER BY no DESC LIMIT 1000")]
        if not known:
            return "it has no runs yet"
        if near := get_close_matches(run_id, known, n=1, cutoff=0.6):
            return f"did you mean {near[0]}?"
        return f"the newest are: {', '.join(known[:5])}"

    def _nearest_key(self, run: int, key: str) -> str:
        doubts = [seen.key for seen in self.doubts_of(run, KEYS_COMPARED)]
        keys = self._rows("SELECT key FROM rows WHERE run = ? LIMIT ?", run, KEYS_COMPARED)
        for known in (doubts, [known for (known,) in keys]):
            if near := get_close_matches(key, known, n=1, cutoff=0.6):
                return f"did you mean {near[0]}?"
        if doubts:
            return f"in doubt there: {', '.join(doubts[:5])}"
        return "nothing of that run is in doubt"

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with reading(self.path):
            rows = self._connection.execute(query, parameters).fetchall()
            if any(isinstance(value, bytes) for row in rows for value in row):
                raise TypeError("bytes in the place of a text")
            return rows


def _outcome(action: Action, own: str | None, claimed: str | None) -> Outcome:
    """Return the outcome of a row, as its report tells it."""
    if own is not None:
        return OUTCOMES[State(own)]
    if claimed is None:
        return Outcome.UNATTEMPTED
    outcome = OUTCOMES[State(claimed)]
    if action is Action.IN_DOUBT or outcome is Outcome.SKIPPED:
        return outcome
    return Outcome.UNCHANGED


def _is_under_way(state: str | None) -> bool:
    return state in {State.SENDING, State.RESENDING}
