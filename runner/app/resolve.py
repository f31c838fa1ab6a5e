"""`resolve`: settles a transfer in doubt by a person's statement (recovery.md, "In doubt")."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum

from runner.app import run_record
from runner.core.batch_options import MOST_ROWS
from runner.core.errors import NotInDoubt, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Callback
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import OUTCOMES, Event, ImpossibleEvent, State, step
from runner.engine.callback_factory import CallbackFactory
from runner.journals import journal_at
from runner.ports import Entry, Note
from runner.ports.history import HeldTransfer, History, KeyedTransfer
from runner.ports.journal_access import JournalStore


class Resolution(StrEnum):
    """What a person may state about a transfer in doubt."""

    TRANSFERRED = "transferred"
    FAILED = "failed"

    @property
    def code(self) -> Code:
        """The cause of the transfer's outcome."""
        return Code.RESOLVED_TRANSFERRED if self is Resolution.TRANSFERRED else Code.RESOLVED_FAILED

    @property
    def event(self) -> Event:
        """The event of the table of transitions."""
        return Event.VOUCHED if self is Resolution.TRANSFERRED else Event.DISOWNED


@frozen
class Resolved:
    """The result of a resolution."""

    key: str  # of the run that was named
    found: KeyedTransfer  # as it was before
    outcome: Outcome
    by: str  # user@host
    reason: str
    callbacks: int  # owed because of it
    doubts_left: int  # in the whole journal


def resolve(
    location: JournalLocation,
    run: str,
    key: str,
    resolution: Resolution,
    reason: str,
    *,
    lock_timeout_s: float = 0.0,
    sender_is_dead: bool = False,
) -> Resolved:
    """Settle the transfer `key` of `run`, and record by whom, when and why.

    `sender_is_dead`: a person states that the sender has ended, where that is not proven.
    Raises `UsageError` if it is not in doubt, naming its state; `Locked`, `StorageError`.
    """
    for text, what in ((run, "RUN"), (key, "KEY"), (reason, "--reason")):
        _check_text(text, what)
    journal = journal_at(location)
    journal.check_place()
    with journal.open_history() as history, journal.lock() as lock:
        lock.acquire(lock_timeout_s)
        found = _in_doubt(history, run, key, resolution)
        store = lock.open_store(environment=history.environment, origin=history.origin)
        try:
            # Transfers that a dead run left under way are put in doubt first.
            if store.recover(at=time.time()):
                found = _in_doubt(history, run, key, resolution)
            said = _said_of_sender(history, found, resolution, sender_is_dead=sender_is_dead)
            return _record(store, found, resolution, reason, history, key=key, said=said)
        finally:
            store.close()


def _said_of_sender(
    history: History, found: KeyedTransfer, resolution: Resolution, *, sender_is_dead: bool
) -> Mapping[str, str]:
    """Return what a person says of a sender that may still send, for the journal.

    Raises `UsageError` if nothing is said, and the transfer would count as failed.
    """
    sender = history.fenced_sender(found.transfer_id)
    if sender is None:
        return {}
    if resolution is Resolution.FAILED and not sender_is_dead:
        raise UsageError(
            f"{found.row.key} may still be sent: {sender} sent it and lost the journal, and nothing"
            " proves that it has ended; called failed, it could be moved twice. See that this"
            " process has ended (or its machine), then add --sender-is-dead"
        )
    return {"said_to_be_dead": sender}


@frozen
class Verdict:
    """A person's statement about one transfer of a run."""

    key: str
    resolution: Resolution
    reason: str


@frozen
class ManyResolved:
    """The result of several resolutions."""

    run: str
    resolved: Sequence[Resolved]
    refused: Sequence[tuple[str, str]]  # keys that are not in doubt, and why
    doubts_left: int  # in the whole journal


def doubts_of(location: JournalLocation, run: str) -> tuple[str, Sequence[HeldTransfer]]:
    """Return a run's id and its transfers in doubt, in the manifest's order."""
    _check_text(run, "RUN")
    with journal_at(location).open_history() as history:
        seen = history.run(run)
        return seen.record.id, history.held_by_run(seen.no, MOST_ROWS)


def resolve_many(
    location: JournalLocation,
    run: str,
    verdicts: Sequence[Verdict],
    *,
    lock_timeout_s: float = 0.0,
    sender_is_dead: bool = False,
) -> ManyResolved:
    """Settle several transfers of a run, each by an event of its own.

    All of them are looked at before the first is settled: raises `UsageError`, and changes nothing,
    if the run has no such key or a reason is empty. What is not in doubt is refused and stays.
    """
    for verdict in verdicts:
        _check_text(verdict.reason, f"the reason for {verdict.key}")
    journal = journal_at(location)
    journal.check_place()
    with journal.open_history() as history, journal.lock() as lock:
        lock.acquire(lock_timeout_s)
        seen = history.run(run)
        for verdict in verdicts:
            history.find_by_key(seen, verdict.key)  # raises for a key that the run does not have
        store = lock.open_store(environment=history.environment, origin=history.origin)
        resolved: list[Resolved] = []
        refused: list[tuple[str, str]] = []
        try:
            store.recover(at=time.time())
            for verdict in verdicts:
                try:
                    found = _in_doubt(history, run, verdict.key, verdict.resolution)
                    said = _said_of_sender(
                        history, found, verdict.resolution, sender_is_dead=sender_is_dead
                    )
                except UsageError as error:
                    refused.append((verdict.key, str(error)))
                    continue
                resolved.append(
                    _record(
                        *(store, found, verdict.resolution, verdict.reason, history),
                        key=verdict.key,
                        said=said,
                    )
                )
        finally:
            store.close()
        return ManyResolved(seen.record.id, resolved, refused, history.count_held())


def _in_doubt(history: History, run: str, key: str, resolution: Resolution) -> KeyedTransfer:
    """Return the transfer. Raises `UsageError` with the reason if it cannot be settled."""
    seen = history.run(run)
    found = history.find_by_key(seen, key)
    if found is None:
        raise UsageError(
            f"{key} of run {seen.record.id} is not in doubt: it was never delivered;"
            " the next apply sends it"
        )
    state = State.UNKNOWN if OUTCOMES[found.state] is Outcome.IN_DOUBT else found.state
    try:
        step(state, resolution.event)
    except ImpossibleEvent as error:
        why = f" ({found.reason})" if found.reason else ""
        raise NotInDoubt(
            f"{key} of run {found.run} is not in doubt: it is {found.state}{why};"
            " only a transfer in doubt can be resolved"
        ) from error
    return found


def _record(
    store: JournalStore,
    found: KeyedTransfer,
    resolution: Resolution,
    reason: str,
    history: History,
    *,
    key: str,
    said: Mapping[str, str],
) -> Resolved:
    at, user, host = time.time(), run_record.current_user(), socket.gethostname()
    state = step(found.state, resolution.event)
    reason_text = f"resolved as {resolution} by {user}@{host}: {reason}"
    callbacks = CallbackFactory(
        _any_callbacks(found.row.callbacks),
        run=found.run,
        batch=found.batch,
        new_id=lambda: f"msg_{uuid.uuid4().hex}",
    )
    owed = callbacks.about(found.row, OUTCOMES[state], reason_text, None)
    entry = Entry(
        resolution.event,
        found.row,
        found.transfer_id,
        found.lineage,
        found.version,
        state,
        at,
        reason=reason_text,
        reason_code=resolution.code,
        notifications=owed,
    )
    fields = {"transfer": found.transfer_id, "key": found.row.key, "of_run": found.run}
    who = {"as": resolution, "user": user, "host": host, "reason": reason, **said}
    store.record([entry, Note("resolved by a person", at, fields | who)])
    store.seal()
    by = f"{user}@{host}"
    return Resolved(key, found, OUTCOMES[state], by, reason, len(owed), history.count_held())


def _any_callbacks(names: tuple[str, ...]) -> Mapping[str, Callback]:
    """Return callbacks for every outcome; the run that delivers them applies the manifest's `on`."""
    return {name: Callback(name, "") for name in names}


def _check_text(text: str, what: str) -> None:
    if not text.strip():
        raise UsageError(f"{what} is empty; state what you saw, in a few words")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} is not UTF-8; type it again") from error
