"""What a history makes of its rows, whatever database they come from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from runner.core import next_steps
from runner.core.errors import StorageError
from runner.core.records.chained_record import StoredRun, record_fault, whole_body
from runner.core.records.run_record import RunRecord
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.doubt_evidence import Baseline, SendClocks
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SKIPS, Action
from runner.core.transfer.states import NOT_BEGUN, OUTCOMES, UNDER_WAY, State
from runner.ports import Intent
from runner.ports.history import HeldTransfer, JournalledRun

RUNS_COMPARED = 1000
"""Runs that an unknown one is compared with."""

MOST_NAMED = 5
"""Keys or runs that an unknown one is answered with."""

_LIKENESS = 0.6

ELSEWHERE = ", ".join(
    "CASE WHEN r.action = 'in_doubt' AND c.destination_uri <> r.destination_uri"
    f" THEN {table}.destination_uri END"
    for table in "rc"
)
"""The destinations of a row and of the doubt that it claims, where they are spelt differently."""


def counted_run(
    no: int, stored: StoredRun, rows: Iterable[Sequence[Any]], *, finished: bool
) -> JournalledRun:
    """Count a run's rows: (action, own state, claimed state, `ELSEWHERE`, number) of each group."""
    counts: Counter[Outcome] = Counter()
    under_way = not_selected = 0
    for action, own, claimed, wanted, claimed_to, number in rows:
        is_there = same_destination(wanted, claimed_to)
        counts[_outcome_of(Action(action), own, claimed, is_there=is_there)] += number
        under_way += number if (own or claimed) in UNDER_WAY else 0
        not_selected += number if action == Action.NOT_SELECTED else 0
    record = RunRecord.from_json(json.loads(stored.record))
    fault = record_fault(stored)
    return JournalledRun(no, record, finished, counts, under_way, not_selected, fault)


def stored_run(row: Sequence[Any]) -> StoredRun:
    """Return a run of the table: its columns; hash before, body and hash of its first event, and of its last."""
    return StoredRun._make((*row[:6], whole_body(*row[6:9]), whole_body(*row[9:])))


def checked_record(stored: StoredRun, address: str) -> RunRecord:
    """Return a run's record for a report. Raises `StorageError` for one that the chain does not have."""
    if (fault := record_fault(stored)) is not None:
        check = next_steps.shell_line(next_steps.verify_chain(address, stored.id))
        raise StorageError(
            f"the record of run {stored.id} in the journal {address} was changed: {fault}. A report of it"
            " cannot be trusted, so none is made. Restore the journal from a copy; what else was changed"
            f" is said by: {check}"
        )
    return RunRecord.from_json(json.loads(stored.record))


def _outcome_of(action: Action, own: str | None, claimed: str | None, *, is_there: bool) -> Outcome:
    """Return the outcome of a row, as its report shows it.

    `is_there`: the transfer that it claims has its destination.
    """
    if own is not None:
        return OUTCOMES[State(own)]
    if action in SKIPS:
        return Outcome.SKIPPED
    if claimed is None:
        return NOT_BEGUN
    outcome = OUTCOMES[State(claimed)]
    if not is_there and outcome is not Outcome.IN_DOUBT:
        return NOT_BEGUN  # only a new plan takes it up
    if action in {Action.IN_DOUBT, Action.FINISHED} or outcome is Outcome.SKIPPED:
        return outcome
    return Outcome.UNCHANGED


def held_transfer(row: Sequence[Any]) -> HeldTransfer:
    """Read a transfer that is held: the fields of `HeldTransfer`, in their order."""
    run, key, source, interaction_id, uri, state, message_id, reason = row
    return HeldTransfer(run, key, source, interaction_id, uri, State(state), message_id, reason)


def intent_of(text: str) -> Intent:
    """Read a delivery's intent from its event's body."""
    body = json.loads(text)
    baseline = body["baseline"]
    return Intent(
        body["n"],
        body["message_id"],
        body["media_index"],
        body["message"],
        SendClocks(**body["hand_over"]),
        None if baseline is None else Baseline.from_json(baseline),
    )


def nearest_run(run_id: str, known: Sequence[str]) -> str:
    """Return which of the runs, newest first, an unknown one may mean, in words."""
    if not known:
        return "it has no runs yet"
    if near := get_close_matches(run_id, known, n=1, cutoff=_LIKENESS):
        return f"did you mean {near[0]}?"
    return f"the newest are: {', '.join(known[:MOST_NAMED])}"


def keys_in_doubt(doubts: Sequence[str]) -> str:
    """Return which keys of a run are in doubt, in words.

    The one that is most like a mistyped key is not proposed: it may be another caller's.
    """
    if not doubts:
        return "nothing of that run is in doubt"
    more = " and more" if len(doubts) > MOST_NAMED else ""
    return f"in doubt there: {', '.join(doubts[:MOST_NAMED])}{more}"
