"""The judge of runs against the platform: what the organisation knows, against what was reported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from runner.core.exit_code import ExitCode
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from runner.gateways.genesys_cloud.rest import STALE_S
from tests.simulation.doubts import first_run
from tests.simulation.evidence import NOTICED_S, Course, Finding
from tests.simulation.judge import FINDERS as GENERAL
from tests.simulation.judge import MOVED
from tests.simulation.platform_ledger import Post, PostBook
from tests.simulation.platform_org import Conversation, Organisation
from tests.simulation.policy_rules import beyond_a_destinations_rate
from tests.simulation.process import Ended, Orders

AS_EVERYWHERE = (
    "audit chain broken",
    "callbacks",
    "left behind",
    "stopped wrongly",
    "outside the window",
    "wave too early",
    "after too many failures",
)
"""What is judged as with the first driver."""

CONFIRMED_S = 55.0
"""How long an outcome may take that must not become a doubt on a fine day."""


@dataclass(frozen=True, slots=True, eq=False)
class PlatformEvidence:
    """Everything that is judged. Times are the world's seconds."""

    ledger: PostBook
    organisation: Organisation
    runs: Sequence[Ended]
    listed: Mapping[int, int]  # how many rows each run had
    fine_from: int  # the first run of the fine day
    refused_to_select: bool  # on the fine day, with a reason
    source: str | None  # the queue that was selected from
    orders: Orders
    courses: Mapping[int, Course]
    deaths: Mapping[int, float]  # when runs were killed
    fence_s: (
        float | None
    )  # how long after a command left nothing comes of it, where that is promised

    @property
    def interactions(self) -> Sequence[str]:
        """Every conversation."""
        return list(self.organisation.conversations)


def judge_platform(evidence: PlatformEvidence) -> list[Finding]:
    """Return everything that went wrong."""
    finders = FINDERS | {kind: GENERAL[kind] for kind in AS_EVERYWHERE}
    return [Finding(kind, what) for kind, find in finders.items() for what in find(evidence)]  # type: ignore[arg-type]


def _moved_twice(evidence: PlatformEvidence) -> Iterator[str]:
    for one in evidence.interactions:
        moves = evidence.ledger.moves(one)
        if any(a.destination_uri == b.destination_uri for a, b in pairwise(moves)):
            yield f"{one} by {[(m.message_id[:8], round(m.effect_at or 0, 3)) for m in moves]}"


def _sent_without_ground(evidence: PlatformEvidence) -> Iterator[str]:
    """Find commands that left though an earlier one might have been carried out."""
    for one in evidence.interactions:
        posts = evidence.ledger.of(one)
        for n, post in enumerate(posts):
            for before in posts[:n]:
                if not _is_settled(evidence, before, post):
                    yield f"{post.message_id} for {one} after {before.message_id}"


def _is_settled(evidence: PlatformEvidence, before: Post, post: Post) -> bool:
    if before.was_refused and (before.read_at or 0.0) <= post.left_at:
        return True
    move = before.move
    if move is not None and move.ended_at is not None and move.ended_at <= post.left_at:
        return move.state != "Complete" or before.destination_uri != post.destination_uri
    fence_s = evidence.fence_s
    return fence_s is not None and post.left_at - before.left_at > fence_s


def _wrongly_replaced(evidence: PlatformEvidence) -> Iterator[str]:
    for post in evidence.ledger.frames:
        if post.wrongly is not None:
            yield f"run {post.run}: {post.message_id} for {post.interaction_id}: {post.wrongly}"


def _unjournalled(evidence: PlatformEvidence) -> Iterator[str]:
    for post in evidence.ledger.frames:
        if not post.journalled:
            yield f"{post.message_id} left before its intent was durable"


def _misreported(evidence: PlatformEvidence) -> Iterator[str]:
    for run in evidence.runs:
        for row in run.rows:
            if fault := _misreport(evidence, run, row):
                yield f"run {run.run}: {row.key} {row.outcome} ({row.reason}): {fault}"


def _misreport(evidence: PlatformEvidence, run: Ended, row: TransferRecord) -> str | None:
    done = [
        post
        for post in evidence.ledger.moves(row.interaction_id)
        if post.effect_at is not None
        and post.effect_at <= run.ended_at
        and post.destination_uri == row.destination_uri
    ]
    if row.outcome in MOVED:
        return None if done else "not moved there by us"
    if row.outcome is Outcome.IN_DOUBT or row.reason_code == Code.NOT_SELECTED:
        return None
    later = evidence.ledger.moves(row.interaction_id)
    if not done or later[-1].destination_uri != row.destination_uri:
        return None
    if row.outcome is Outcome.SKIPPED and row.earlier is not None:
        return None
    return f"moved by {done[0].message_id}"


_UNHALTED = {Code.NOT_SELECTED, Code.MOVED_ELSEWHERE_SINCE}
"""Why rows are left by a run that nothing halted."""


def _miscounted(evidence: PlatformEvidence) -> Iterator[str]:
    for run in evidence.runs:
        if len(run.rows) != evidence.listed[run.run]:
            yield f"run {run.run} reports {len(run.rows)} of {evidence.listed[run.run]}"
        left = [
            row.key
            for row in run.rows
            if row.outcome is Outcome.UNATTEMPTED and row.reason_code not in _UNHALTED
        ]
        if left and run.halted is None:
            yield f"run {run.run} left {left} unattempted without a reason"


def _lost(evidence: PlatformEvidence) -> Iterator[str]:
    """Find what a fine day should have settled."""
    if not evidence.runs:
        return
    last = evidence.runs[-1]
    for row in last.rows:
        one = evidence.organisation.conversations[row.interaction_id]
        if one.is_hidden:
            if row.outcome is not Outcome.REJECTED:
                yield f"{row.key} may not be seen, and is {row.outcome}: {row.reason}"
        elif one.id not in evidence.organisation.touched and row.outcome not in MOVED:
            if row.outcome is not Outcome.IN_DOUBT:
                yield f"{row.key} is {row.outcome}: {row.reason}"
            elif not _may_stay_in_doubt(evidence, one, row):
                yield f"{row.key} stays in doubt: {row.reason}"


def _may_stay_in_doubt(evidence: PlatformEvidence, one: Conversation, row: TransferRecord) -> bool:
    """Tell whether a doubt may outlive every run: no effect shows, and some answer was lost.

    An answer that comes after its session was lost comes too late to say no.
    """
    posts = evidence.ledger.of(one.id)
    if any(post.effect_at is not None for post in posts):
        return False
    posts = [post for post in posts if post.run >= first_run(row)]
    if evidence.fence_s is not None:
        # Only what changed since, without an outcome, may stay.
        return any(post.move is not None for post in posts)
    if not posts or row.reason_code == Code.SESSION_LOST:
        return True
    return any(not post.was_refused or _died_with(evidence, post) for post in posts)


def _died_with(evidence: PlatformEvidence, post: Post) -> bool:
    """Tell whether a process was killed before it could write down what was answered."""
    return evidence.deaths.get(post.run, math.inf) - (post.read_at or 0.0) < NOTICED_S


def _left_waiting(evidence: PlatformEvidence) -> Iterator[str]:
    """Find conversations that a selection on a fine day passed over."""
    if evidence.source is None or evidence.refused_to_select or not evidence.runs:
        return
    known = {row.interaction_id for row in evidence.runs[-1].rows}
    for one in evidence.organisation.conversations.values():
        holder = one.holder()
        waits = holder is not None and holder.place == f"genesys://queue/{evidence.source}"
        if waits and one.id not in known | evidence.organisation.touched:
            yield f"{one.id} still waits, and no run speaks of it"


def _unheeded(evidence: PlatformEvidence) -> Iterator[str]:
    """Find doubts of a fine day about what was taken, and done in good time."""
    for run in evidence.runs:
        if run.run < evidence.fine_from or run.halted is ExitCode.STORAGE:
            continue
        for row in run.rows:
            if row.outcome is not Outcome.IN_DOUBT:
                continue
            if row.interaction_id in evidence.organisation.touched:
                continue
            for post in evidence.ledger.of(row.interaction_id):
                effect_at = post.effect_at
                if post.run == run.run and effect_at and effect_at - post.left_at < CONFIRMED_S:
                    took_s = effect_at - post.left_at
                    yield f"run {run.run}: {row.key} ({row.reason}), done after {took_s:.1f} s"


def _beyond_a_destinations_rate(evidence: PlatformEvidence) -> Iterator[str]:
    yield from beyond_a_destinations_rate(evidence, late_s=STALE_S)  # type: ignore[arg-type]


FINDERS = {
    "moved twice": _moved_twice,
    "sent without ground": _sent_without_ground,
    "wrongly replaced": _wrongly_replaced,
    "not journalled first": _unjournalled,
    "misreported": _misreported,
    "miscounted": _miscounted,
    "lost": _lost,
    "left waiting": _left_waiting,
    "unheeded": _unheeded,
    "beyond a destination's rate": _beyond_a_destinations_rate,
}
