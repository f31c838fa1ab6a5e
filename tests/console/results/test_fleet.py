"""What `status --fleet` says of submissions: who carries each, or what it waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.console.results.fleet import render_fleet
from runner.ports.fleet import FleetState, Submission, SubmissionState, WorkerState

RUNNING, WAITING = SubmissionState.RUNNING, SubmissionState.WAITING
AT = "2026-12-01T02:00:00Z"
BATCH = Submission(
    id=7, environment="eu", batch="night", state=WAITING, submitted_by="ann",
    submitted_from="ann@host", submitted_at=AT, not_before=None, is_due=True, is_begun=False,
    is_cancelled=False, cancelled_by=None, lane=None, worker=None, run=None, attempts=0, exit_code=None,
    explanation=None, ended_at=None,
)  # fmt: skip
CARRIED = replace(BATCH, state=RUNNING, worker="w1", run="r-1", is_begun=True)


def worker(name: str, *environments: str, is_seen: bool = True) -> WorkerState:
    return WorkerState(
        name=name, process="pid 1", seen_at=AT, is_seen=is_seen, is_drained=False,
        drained_by=None,
        environments=environments, running=(),
    )  # fmt: skip


W1 = worker("w1", "eu")
GONE = replace(W1, is_seen=False)
DRAINED = replace(W1, is_drained=True)
NOBODY = "no worker that is up, and not drained, has its environment: start one"


@pytest.mark.parametrize(
    ("batch", "workers", "told"),
    [
        (CARRIED, [W1], "running; by worker w1, run r-1; by ann"),
        (replace(CARRIED, run=None), [W1], "running; by worker w1, run not planned yet; by ann"),
        (
            CARRIED,
            [GONE, worker("w2", "eu")],
            "run r-1; w1 is not seen: another worker goes on once its lease has run out; by ann",
        ),
        (CARRIED, [GONE, worker("w2", "us")], f"run r-1; {NOBODY}; by ann"),
        (
            replace(CARRIED, is_cancelled=True, cancelled_by="bob"),
            [W1],
            "running; to be cancelled by bob; by worker w1",
        ),
        (BATCH, [W1], "waiting; by ann"),
        (BATCH, [GONE], f"waiting; {NOBODY}; by ann"),
        (BATCH, [DRAINED], f"waiting; {NOBODY}; by ann"),
        (BATCH, [DRAINED, worker("w2", "eu")], "waiting; by ann"),
        (replace(BATCH, is_begun=True), [W1], "waiting; begun, to be carried on; by ann"),
        (replace(BATCH, is_due=False, not_before=AT), [], f"waiting; from {AT} on; by ann"),
        (
            replace(CARRIED, state=SubmissionState.ENDED, exit_code=0, ended_at=AT),
            [],
            f"ended; exit code 0, {AT}; by ann",
        ),
    ],
)
def test_a_submission_says_who_carries_it_or_what_it_waits_for(
    batch: Submission, workers: list[WorkerState], told: str
):
    text = render_fleet(FleetState([], workers, [batch]), {}, color=False)
    assert told in text.splitlines()[-1]


def test_a_submission_waits_for_the_one_that_runs_before_it():
    behind = replace(BATCH, id=8)
    text = render_fleet(FleetState([], [W1], [CARRIED, behind]), {}, color=False)
    assert "waiting; waits for its turn, after submission 7" in text.splitlines()[-1]
