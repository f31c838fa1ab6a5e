"""A submission's state changes with its run's, in the transactions that the fence guards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO

import pytest

from runner.core.errors import Fenced, UsageError
from runner.core.exit_code import ExitCode
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.access import LaneLock
from runner.journal.postgres.fleet import PostgresFleetWorker
from runner.journal.postgres.submission_store import SubmissionStore
from runner.ports.fleet import NewSubmission, Submission, SubmissionOver, SubmissionState
from runner.ports.journal_access import Lane
from tests.journal.builders import ORIGIN, manifest_rows, note
from tests.journal.contract.journals import started
from tests.postgres_server import execute, fresh_database

HERE, ELSEWHERE = Lane(ORIGIN, "a" * 64), Lane(ORIGIN, "b" * 64)


@dataclass
class Queue:
    """A database with one submission, seen by one worker."""

    url: str
    worker: PostgresFleetWorker
    number: int

    def look(self) -> Submission:
        return self.worker.submission(self.number)

    def lock(self, lane: Lane = HERE) -> LaneLock:
        return self.worker.journal_of(self.number, lane).lock()


@pytest.fixture
def queue() -> Iterator[Queue]:
    url = fresh_database()
    with closing(PostgresFleetWorker(JournalLocation(url), "w1")) as worker:
        new = NewSubmission("eu", "b", "b.yaml", {"b.yaml": BytesIO}, "somebody")
        yield Queue(url, worker, worker.submit([new])[0])


def opened(lock: LaneLock) -> SubmissionStore:
    lock.acquire(0.0)
    store = lock.open_store(environment="eu", origin=ORIGIN)
    assert isinstance(store, SubmissionStore)
    return store


def test_a_run_that_dies_leaves_it_to_be_taken_up_at_once_three_times_and_then_later(queue: Queue):
    for attempt in range(1, 4):
        with queue.lock() as lock:
            opened(lock)
        found = queue.look()
        assert (found.state, found.attempts, found.is_due) == ("running", attempt, True)
    with queue.lock() as lock:
        opened(lock)
    assert not queue.look().is_due


def test_a_death_after_a_run_that_got_on_is_followed_at_once(queue: Queue):
    for _ in range(6):
        with queue.lock() as lock:
            store = opened(lock)
            store.record([note() for _ in range(60)])
    assert (queue.look().attempts, queue.look().is_due) == (1, True)


def test_no_other_lane_carries_what_one_has_begun(queue: Queue):
    with queue.lock() as lock:
        opened(lock)
    with queue.lock(ELSEWHERE) as lock, pytest.raises(SubmissionOver):
        opened(lock)


def test_what_has_ended_is_not_run_again(queue: Queue):
    assert queue.worker.refuse(queue.number, 2, "why")
    with queue.lock() as lock, pytest.raises(SubmissionOver):
        opened(lock)
    assert queue.look().exit_code == 2


def test_what_another_worker_of_the_same_name_has_ended_chooses_no_rows(queue: Queue):
    journal = queue.worker.journal_of(queue.number, HERE)
    with journal.lock() as lock:
        store = opened(lock)
        assert queue.worker.refuse(queue.number, 3, "as its configuration has it")
        with pytest.raises(SubmissionOver, match="ended meanwhile"):
            started(store, journal, manifest_rows(2))
    assert queue.look().exit_code == 3
    assert execute(queue.url, "SELECT 1 FROM runner.rows") == []


def test_a_role_has_a_share_of_open_submissions(queue: Queue):
    execute(
        queue.url,
        "INSERT INTO runner.submissions(environment, batch, manifest, options)"
        " SELECT 'eu', 'b', 'm', '{}' FROM generate_series(2, 1000)",
    )
    new = NewSubmission("eu", "b", "b.yaml", {"b.yaml": BytesIO}, "somebody")
    with pytest.raises(
        UsageError, match="1000 submissions of role postgres are open: submit again"
    ):
        queue.worker.submit([new])
    queue.worker.cancel(queue.number)
    queue.worker.look([])
    queue.worker.submit([new])


def test_a_cancelled_one_that_had_begun_ends_once_its_lane_is_held(queue: Queue):
    with queue.lock() as lock:
        opened(lock)
    queue.worker.cancel(queue.number)
    assert queue.look().state is SubmissionState.RUNNING
    with queue.lock() as lock, pytest.raises(SubmissionOver):
        opened(lock)
    assert queue.look().state is SubmissionState.CANCELLED


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (ExitCode.OK, SubmissionState.ENDED),
        (ExitCode.IN_DOUBT, SubmissionState.ENDED),
        (ExitCode.STOPPED, SubmissionState.ENDED),
        (ExitCode.BUG, SubmissionState.ENDED),
        (ExitCode.TERMINATED, SubmissionState.WAITING),
        (ExitCode.STORAGE, SubmissionState.WAITING),
        (ExitCode.LOCKED, SubmissionState.WAITING),
        (ExitCode.INTERRUPTED, SubmissionState.CANCELLED),
    ],
)
def test_a_runs_end_is_its_submissions_end(queue: Queue, code: ExitCode, state: SubmissionState):
    journal = queue.worker.journal_of(queue.number, HERE)
    with journal.lock() as lock:
        store = opened(lock)
        started(store, journal, manifest_rows(2))
        record = {"exit_code": int(code), "outcome": "x", "finished_at": "now", "explanation": None}
        store.finish_run(record, {}, 1.0)
    found = queue.look()
    assert (found.state, found.is_begun) == (state, True)


def test_a_first_run_freezes_its_rows_and_a_refusal_does_not_end_it_any_more(queue: Queue):
    journal = queue.worker.journal_of(queue.number, HERE)
    with journal.lock() as lock:
        started(opened(lock), journal, manifest_rows(2))
    assert not queue.worker.refuse(queue.number, 3, "why")
    later = queue.worker.journal_of(queue.number, HERE)
    with later.lock() as lock:
        opened(lock)
    assert later.frozen is not None
    assert len(later.frozen.rows) == 2
    assert later.frozen.last_transfer_id == 0


def test_who_lost_the_lane_does_not_end_the_submission(queue: Queue):
    journal = queue.worker.journal_of(queue.number, HERE)
    with journal.lock() as lock:
        store = opened(lock)
        started(store, journal, manifest_rows(1))
        execute(queue.url, "UPDATE runner.lanes SET epoch = epoch + 1")
        record = {"exit_code": 0, "outcome": "ok", "finished_at": "now"}
        with pytest.raises(Fenced):
            store.finish_run(record, {}, 1.0)
    assert queue.look().state is SubmissionState.RUNNING
