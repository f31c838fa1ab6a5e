"""The fleet's port: submissions that workers carry, and the orders for both."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from runner.core.errors import RunnerError, UsageError
from runner.core.frozen import frozen
from runner.core.transfer.frozen_plan import FrozenPlan
from runner.ports.journal_access import JournalAccess, Lane

MOST_BYTES = 128_000_000
"""Largest submission: its manifest and its row files together."""

MOST_FILES = 1000


def check_size(size: int, files: int) -> None:
    """Raise `UsageError` for more than a submission may hold."""
    if size > MOST_BYTES or files > MOST_FILES:
        raise UsageError(
            f"a submission holds at most {MOST_BYTES // 1_000_000} MB and {MOST_FILES:,} files, and"
            f" this one has {size // 1_000_000:,} MB in {files:,}; part the batch, or apply it with"
            " --journal where its files are"
        )


class SubmissionOver(RunnerError):
    """A submission needs no run any more: it has ended, was cancelled, or is another lane's."""


class SubmissionState(StrEnum):
    """Where a submission stands."""

    WAITING = "waiting"  # for its time, its turn or a worker
    RUNNING = "running"  # a worker took it up; if that one died, another will
    ENDED = "ended"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done."""
        return self in {SubmissionState.ENDED, SubmissionState.CANCELLED}


@frozen
class NewSubmission:
    """A batch as it is submitted.

    `files` has what opens each, the manifest too, by names relative to its folder: they are read piece
    by piece, because they may be large.
    """

    environment: str
    batch: str
    manifest: str
    files: Mapping[str, Callable[[], BinaryIO]]
    submitted_from: str  # account and host, as who submits says
    options: Mapping[str, Any] = field(default_factory=dict)
    not_before: float | None = None  # seconds since the epoch


@frozen
class Submission:
    """A submission as the journal holds it now. Times are RFC 3339, in UTC."""

    id: int
    environment: str
    batch: str
    state: SubmissionState
    submitted_by: str  # the role that the database let in
    submitted_from: str | None  # account and host, as who submitted said
    submitted_at: str
    not_before: str | None
    is_due: bool  # by the database's clock
    is_begun: bool  # a first run has chosen its rows
    is_cancelled: bool  # an order was given; `state` says whether it was followed
    cancelled_by: str | None
    lane: str | None
    worker: str | None
    run: str | None  # the latest
    attempts: int
    exit_code: int | None
    explanation: str | None
    ended_at: str | None
    fault: str | None = None  # what of it cannot be read: it is refused


@frozen
class SubmissionContent:
    """What a submission holds for its worker. `files` comes piece by piece: a file's pieces in order."""

    manifest: str  # the name of its file
    options: Mapping[str, Any]
    files: Iterable[tuple[str, bytes]]


@frozen
class WorkerState:
    """A worker as it was seen last."""

    name: str
    process: str  # who it is, in words
    seen_at: str
    is_seen: bool  # lately, by the database's clock
    is_drained: bool
    drained_by: str | None
    environments: Sequence[str]
    running: Sequence[int]


@frozen
class LaneOwner:
    """A lane, and who holds it. `owner` None: it is free."""

    name: str
    epoch: int
    owner: str | None
    renewed_at: str | None
    taken_at: str | None
    why: str | None  # by what right it was taken last


@frozen
class FleetState:
    """What `status --fleet` shows."""

    lanes: Sequence[LaneOwner]
    workers: Sequence[WorkerState]
    submissions: Sequence[Submission]
    sees_runs: bool = True  # whether this role may read what holds a run


class SubmissionJournal(JournalAccess, Protocol):
    """A lane's journal whose next run is a submission's.

    Its store raises `SubmissionOver` unless the submission is to be run.
    """

    @property
    def frozen(self) -> FrozenPlan | None:
        """The plan of the submission's first run, once the store is open; None: this is the first."""

    def content(self) -> AbstractContextManager[SubmissionContent]:
        """Return what was submitted, over a connection of its own.

        Raises `UsageError` if it cannot be read or is too large, `StorageError`.
        """


class Fleet(Protocol):
    """The submissions of a journal. Raises `StorageError`, `UsageError`."""

    def submit(self, new: Sequence[NewSubmission]) -> Sequence[int]:
        """Store submissions, all of them whole or none; return their numbers."""

    def submission(self, number: int) -> Submission:
        """Return a submission. Raises `UsageError` if there is none."""

    def cancel(self, number: int) -> Submission:
        """Order that a submission ends; return what it was. Raises `UsageError`."""

    def drain(self, worker: str) -> None:
        """Order that a worker hands over what it runs and takes nothing more."""

    def state(self) -> FleetState:
        """Return who owns what, and what waits."""

    def close(self) -> None:
        """Close the connection."""


class FleetWorker(Fleet, Protocol):
    """A worker's view, which watches all lanes. One thread uses it."""

    def enlist(self, *, environments: Collection[str], process: str) -> None:
        """Store that the worker has started: an earlier order to drain does not concern it."""

    def look(self, running: Collection[int]) -> tuple[Sequence[Submission], str | None]:
        """Look at every lane and report being alive.

        Return the submissions that are not over, oldest first, and who had the worker drained.
        """

    def may_take(self, lane: Lane) -> bool:
        """Return whether a lane could be taken, as far as the last look showed."""

    def journal_of(self, number: int, lane: Lane) -> SubmissionJournal:
        """Return the journal by which a submission is carried in a lane."""

    def refuse(self, number: int, code: int, explanation: str) -> bool:
        """End a submission of which no run has chosen rows; False: another worker has it."""

    def note(self, number: int, explanation: str) -> None:
        """Store why a submission that is not over does not go on, for people."""

    def retire(self) -> None:
        """Store that the worker has ended."""
