"""The judge: what the gateway's ledger tells, against what the journal's reports say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise

from runner.core.exit_code import ExitCode
from runner.core.records.audit_chain import GENESIS, link
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from tests.simulation.doubts import may_stay_in_doubt, was_answered
from tests.simulation.evidence import (
    NEGATIVE,
    TOO_FAST,
    Evidence,
    Finding,
    first_read,
)
from tests.simulation.journal import FULL_DISK
from tests.simulation.ledger import Frame
from tests.simulation.policy_rules import (
    begun_too_early,
    beyond_a_destinations_rate,
    failed_by_an_outage,
    left_before_retry_after,
    left_for_a_full_destination,
    left_outside_the_window,
    left_when_forbidden,
    more_failed_than_promised,
    passed_its_bound,
    sent_after_too_many_failures,
    sent_before_others,
    starved,
    stopped_by_known_failures,
    waited_in_vain,
)
from tests.simulation.process import Ended

MOVED = frozenset({Outcome.TRANSFERRED, Outcome.UNCHANGED})


def judge(evidence: Evidence) -> list[Finding]:
    """Return everything that went wrong."""
    return [Finding(kind, what) for kind, find in FINDERS.items() for what in find(evidence)]


def _moved_twice(evidence: Evidence) -> Iterator[str]:
    for interaction_id in evidence.interactions:
        moves = evidence.ledger.moves(interaction_id)
        again = any(a.destination_uri == b.destination_uri for a, b in pairwise(moves))
        if again and not evidence.misled(interaction_id):
            yield f"{interaction_id} by {[(m.message_id[:8], round(m.at, 3)) for m in moves]}"


def _sent_without_ground(evidence: Evidence) -> Iterator[str]:
    """Find frames that left though an earlier one may have been carried out."""
    for interaction_id in evidence.interactions:
        frames = evidence.ledger.of(interaction_id)
        for n, frame in enumerate(frames):
            for before in frames[:n]:
                if not _is_settled(evidence, before, frame, frames[:n]):
                    yield f"{frame.message_id} for {interaction_id} after {before.message_id}"


def _is_settled(evidence: Evidence, before: Frame, frame: Frame, earlier: Sequence[Frame]) -> bool:
    promised = evidence.promised
    moved_on = before.destination_uri != frame.destination_uri or _was_moved_on(
        evidence, before, frame
    )
    if moved_on and _is_done(evidence, before, frame.left_at):
        return True  # what is asked for now is another move
    if frame.message_id == before.message_id:
        kept_s = promised.dedupes_s
        return (
            kept_s is not None
            and frame.text == before.text
            and (frame.left_at - before.left_at <= kept_s)
        )
    if promised.expires_s is not None:
        over = before.timestamp_s + promised.expires_s + promised.visible_s
        if evidence.wall + frame.left_at > over:
            return True
    same = [other for other in earlier if other.message_id == before.message_id]
    said_no = NEGATIVE if len(same) > 1 else NEGATIVE | {TOO_FAST}
    return any(
        (read := first_read(other, said_no)) is not None and read <= frame.left_at for other in same
    )


def _is_done(evidence: Evidence, frame: Frame, at: float) -> bool:
    """Tell whether what a frame asked for was done by then, by it or by another delivery."""
    moves = evidence.ledger.moves(frame.interaction_id)
    return any(move.destination_uri == frame.destination_uri and move.at < at for move in moves)


def _was_moved_on(evidence: Evidence, before: Frame, frame: Frame) -> bool:
    """Tell whether the interaction was elsewhere between two moves to one place."""
    return any(
        before.left_at < move.at < frame.left_at and move.destination_uri != frame.destination_uri
        for move in evidence.ledger.moves(frame.interaction_id)
    )


def _unjournalled(evidence: Evidence) -> Iterator[str]:
    for frame in evidence.ledger.frames:
        if not frame.journalled:
            yield f"{frame.message_id} left before its intent was durable"


def _id_reused(evidence: Evidence) -> Iterator[str]:
    """Find ids that two messages bear: an answer to one settles the other."""
    texts: dict[str, str] = {}
    for frame in evidence.ledger.frames:
        if texts.setdefault(frame.message_id, frame.text) != frame.text:
            yield f"run {frame.run}: {frame.message_id} for {frame.interaction_id}"


def _misreported(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        for row in run.rows:
            if fault := _misreport(evidence, run, row):
                yield f"run {run.run}: {row.key} {row.outcome} ({row.reason}): {fault}"


def _misreport(evidence: Evidence, run: Ended, row: TransferRecord) -> str | None:
    outcome = row.outcome
    frames = [f for f in evidence.ledger.of(row.interaction_id) if f.left_at <= run.ended_at]
    if outcome in MOVED:
        moves = [m for m in evidence.ledger.moves(row.interaction_id) if m.at <= run.ended_at]
        moved = bool(moves) and moves[-1].destination_uri == row.destination_uri
        lied = bool(moves) and evidence.was_lied_about(row.interaction_id)
        return None if moved or lied else "not moved there by us"
    if outcome is Outcome.IN_DOUBT or row.reason_code == Code.NOT_SELECTED:
        return None  # see `_lost`; what is left out is not looked at
    if outcome is Outcome.SKIPPED and row.reason_code == Code.SKIPPED_BEFORE:
        return None  # as an earlier run found it; that run was judged
    done = [f for f in frames if f.effect_at is not None and _counts_for(f, row, run, evidence)]
    if not done or any(evidence.was_denied(frame, run.ended_at) for frame in done):
        return None
    return f"moved by {done[0].message_id}"


def _counts_for(frame: Frame, row: TransferRecord, run: Ended, evidence: Evidence) -> bool:
    """Tell whether a frame's effect belies that a row was not carried out.

    What was moved there, and elsewhere since, may be moved there once more.
    """
    assert frame.effect_at is not None
    since = [
        m
        for m in evidence.ledger.moves(row.interaction_id)
        if frame.effect_at < m.at <= run.ended_at and m.destination_uri != row.destination_uri
    ]
    return frame.destination_uri == row.destination_uri and not since


_UNHALTED = {Code.NOT_SELECTED, Code.MOVED_ELSEWHERE_SINCE}
"""Why rows are left by a run that nothing halted."""


def _miscounted(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        listed = evidence.listed.get(run.batch, len(evidence.interactions))
        if len(run.rows) != listed:
            yield f"run {run.run} reports {len(run.rows)} of {listed}"
        left = [
            row.key
            for row in run.rows
            if row.outcome is Outcome.UNATTEMPTED and row.reason_code not in _UNHALTED
        ]
        if left and run.halted is None:
            yield f"run {run.run} left {left} unattempted without a reason"


def _lost(evidence: Evidence) -> Iterator[str]:
    """Find what a fine day should have settled."""
    for row in evidence.last.rows:
        if row.interaction_id in evidence.ledger.touched:
            continue
        if row.outcome is Outcome.IN_DOUBT:
            elsewhere = row.earlier is not None and row.earlier.batch == "evening"
            if not (evidence.elsewhere and elsewhere) and not may_stay_in_doubt(evidence, row):
                yield f"{row.key} stays in doubt: {row.reason}"
        elif row.outcome not in MOVED and not _is_excused(evidence, row):
            yield f"{row.key} is {row.outcome}: {row.reason}"


def _is_excused(evidence: Evidence, row: TransferRecord) -> bool:
    """Skipped as already there, because of a delivery whose no was a lie; or carried back."""
    moves = evidence.ledger.moves(row.interaction_id)
    if row.reason_code == Code.REVERTED:
        return bool(moves) and moves[-1].destination_uri != row.destination_uri
    return bool(moves) and evidence.was_lied_about(row.interaction_id)


def _unheeded(evidence: Evidence) -> Iterator[str]:
    """Find doubts about deliveries that were answered, by an answer that was read in time."""
    for run in evidence.runs:
        if run.halted is ExitCode.STORAGE:
            continue
        for row in run.rows:
            if row.outcome is Outcome.IN_DOUBT and was_answered(evidence, run, row):
                yield f"run {run.run}: {row.key} in doubt ({row.reason})"


def _too_fast(evidence: Evidence) -> Iterator[str]:
    limits = evidence.orders.environment.limits
    if limits.rate_per_s is None:
        return
    times = [frame.left_at for frame in evidence.ledger.frames]
    most = int(limits.rate_per_s + limits.burst)
    for n in range(most, len(times)):
        if times[n] - times[n - most] < 1 - 1e-5:
            yield f"{most + 1} frames within a second from {times[n - most]:.6f}"


def _broken_chain(evidence: Evidence) -> Iterator[str]:
    with closing(sqlite3.connect(evidence.orders.journal)) as connection:
        head = GENESIS
        for seq, body, kept in connection.execute(
            "SELECT seq, body, hash FROM events ORDER BY seq"
        ):
            head = link(head, body)
            if head != kept:
                yield f"event {seq}"
                return


def _callbacks(evidence: Evidence) -> Iterator[str]:
    """Find outcomes that callbacks are not told of, or told of twice."""
    with closing(sqlite3.connect(evidence.orders.journal)) as connection:
        for transfer, outcome, times in connection.execute(_TOLD_TWICE):
            yield f"transfer {transfer} {outcome} told {times} times"
        for transfer, state in connection.execute(_NOT_TOLD):
            yield f"transfer {transfer} {state} not told"


_TOLD_TWICE = "SELECT transfer, outcome, count(*) FROM outbox GROUP BY 1, 2 HAVING count(*) > 1"
_NOT_TOLD = (
    "SELECT t.id, t.state FROM transfers t"
    " WHERE t.state IN ('transferred', 'rejected', 'failed', 'skipped')"
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.transfer = t.id AND o.outcome = t.state)"
)


def _sent_under_another_name(evidence: Evidence) -> Iterator[str]:
    """Find frames of the evening's batch that the morning's had made needless."""
    last = evidence.runs[-1]
    if last.batch == "morning" or last.began_at < evidence.last.ended_at:
        return
    done = {row.interaction_id for row in evidence.last.rows if row.outcome in MOVED}
    for frame in evidence.ledger.frames:
        if frame.run == last.run and frame.interaction_id in done:
            yield f"{frame.message_id} for {frame.interaction_id}"


def _left_behind(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        if run.left_behind:
            yield f"run {run.run} left tasks behind: {run.left_behind}"


def _stopped_wrongly(evidence: Evidence) -> Iterator[str]:
    for run in evidence.runs:
        injected = run.explanation == FULL_DISK
        if run.halted is ExitCode.BUG or (run.halted is ExitCode.STORAGE and not injected):
            yield f"run {run.run}: {run.halted.name}: {run.explanation}"


FINDERS = {
    "moved twice": _moved_twice,
    "sent without ground": _sent_without_ground,
    "not journalled first": _unjournalled,
    "id reused": _id_reused,
    "misreported": _misreported,
    "miscounted": _miscounted,
    "lost": _lost,
    "unheeded": _unheeded,
    "too fast": _too_fast,
    "audit chain broken": _broken_chain,
    "callbacks": _callbacks,
    "sent under another name": _sent_under_another_name,
    "left behind": _left_behind,
    "stopped wrongly": _stopped_wrongly,
    "outside the window": left_outside_the_window,
    "waited in vain": waited_in_vain,
    "before retry_after": left_before_retry_after,
    "left when forbidden": left_when_forbidden,
    "full destination": left_for_a_full_destination,
    "passed its bound": passed_its_bound,
    "starved": starved,
    "beyond a destination's rate": beyond_a_destinations_rate,
    "wave too early": begun_too_early,
    "after too many failures": sent_after_too_many_failures,
    "more failed than promised": more_failed_than_promised,
    "sent before others": sent_before_others,
    "stopped by known failures": stopped_by_known_failures,
    "failed by an outage": failed_by_an_outage,
}
