"""When a transfer may be in doubt, and when it may not: what the judge asks of each doubt."""

from __future__ import annotations

import math

from runner.core.records.run_record import TransferRecord
from runner.engine.message_sender import FRESH_S
from tests.simulation.evidence import NEGATIVE, POSITIVE, Evidence
from tests.simulation.ledger import Frame
from tests.simulation.process import Ended


def first_run(row: TransferRecord) -> int:
    """Return the number of the run that left a row's doubt; 0: the row's own run did."""
    return 0 if row.earlier is None else int(row.earlier.run.removeprefix("run-"))


def _in_question(evidence: Evidence, row: TransferRecord) -> list[Frame]:
    """Return the frames that a doubt may be about: those since the run that left it."""
    first = first_run(row)
    return [frame for frame in evidence.ledger.of(row.interaction_id) if frame.run >= first]


def may_stay_in_doubt(evidence: Evidence, row: TransferRecord) -> bool:
    """Tell whether a doubt may outlive every run on a healthy gateway."""
    promised, frames = evidence.promised, _in_question(evidence, row)
    lied = not promised.tells_ids and evidence.was_lied_about(row.interaction_id)
    if not frames:  # killed between intent and frame
        moves = evidence.ledger.moves(row.interaction_id)
        moved_on = bool(moves) and moves[-1].destination_uri != row.destination_uri
        # Its baseline may be older than the move, or what it shows be denied.
        return promised.expires_s is None or moved_on or lied
    if promised.expires_s is not None:  # what had happened before its baseline does not show
        return lied or _was_just_moved(evidence, frames[0])
    if promised.dedupes_s is not None:
        if not promised.tells_ids and any(f.fate.startswith("unlisted") for f in frames):
            return True  # every repeat is answered as the first was
        age_s = evidence.last.began_at - min(frame.left_at for frame in frames)
        return evidence.boots > 1 or age_s > promised.dedupes_s * 0.8
    if not promised.tells_ids and not evidence.orders.policy.preflight:
        return True  # nothing that a look-up shows could tell
    return any(not frame.answers or frame.effect_at is None for frame in frames)


def _was_just_moved(evidence: Evidence, frame: Frame) -> bool:
    """Tell whether a move shortly before may not have shown in the frame's baseline yet.

    When it shows, it looks as if somebody else had acted (recovery.md, "In doubt").
    """
    age_s = evidence.promised.visible_s + FRESH_S
    moves = evidence.ledger.moves(frame.interaction_id)
    return any(frame.left_at - age_s < move.at < frame.left_at for move in moves)


def was_answered(evidence: Evidence, run: Ended, row: TransferRecord) -> bool:
    """Tell whether a run had read an answer that settles what it reports as in doubt."""
    frames = _in_question(evidence, row)
    if any(frame.destination_uri != row.destination_uri for frame in frames):
        return False  # what was asked for elsewhere may be meant; only a new plan asks for this
    mine = [f for f in frames if f.run == run.run]
    if any(_was_read(frame, POSITIVE, run, evidence) for frame in frames):
        return True
    if len(mine) < len(frames) or not mine or evidence.stalled_s:
        return False
    within_s = evidence.orders.policy.negotiation_timeout_s - 0.5
    return all(_was_read(frame, NEGATIVE, run, evidence, within_s) for frame in mine)


def _was_read(
    frame: Frame,
    statuses: frozenset[str],
    run: Ended,
    evidence: Evidence,
    within_s: float = math.inf,
) -> bool:
    """Tell whether a run that could write it down read such an answer, in time for `run`."""
    return any(
        answer.status in statuses
        and answer.read_at is not None
        and answer.read_at <= frame.left_at + within_s
        and (within_s == math.inf or answer.session == frame.session)
        and evidence.was_heeded(answer, run.ended_at)
        for answer in frame.answers
    )
