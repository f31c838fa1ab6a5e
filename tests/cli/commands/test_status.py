"""`runner status`: what the journal holds, while a run goes on and after it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.app.status import status_of
from runner.console.results.status import RunState, render_status, status_to_json
from runner.core.errors import StorageError, UsageError
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.journal.lock import JournalLock
from tests.e2e.harness import Harness, manifest, started, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.journal.builders import Written, begun, located, manifest_rows, opened


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.fixture
def run(journal: Path) -> Iterator[Written]:
    """Write a run without an end: one carried out, one in doubt, one under way, two that wait."""
    store = opened(journal)
    written = begun(store, manifest_rows(5))
    written.go("k0", Event.INTENT, Event.ACCEPTED)
    written.go("k1", Event.INTENT, Event.LOST, reason="no reply within 10 s")
    written.go("k2", Event.INTENT)
    yield written
    store.close()


@pytest.mark.usefixtures("run")
def test_a_run_without_an_end_and_without_a_holder_died(journal: Path):
    [line] = status_of(located(journal)).runs
    assert line.state is RunState.DIED
    assert line.in_flight == 0
    assert line.counts[Outcome.IN_DOUBT] == 2
    assert line.counts[Outcome.UNATTEMPTED] == 2


def test_a_run_that_died_promises_no_look_up_that_has_been_already(journal: Path, run: Written):
    promise = "in doubt until a look-up or a person settles it"
    assert promise in render_status(status_of(located(journal)), one=False)
    later = begun(run.store, manifest_rows(5))  # it looks the doubts up, and leaves them
    later.finish("in-doubt", 6)
    text = render_status(status_of(located(journal)), one=False)
    assert promise in text
    assert "next run" not in text


def test_a_run_that_died_and_was_settled_since_is_not_called_in_doubt(journal: Path, run: Written):
    assert "what was in flight is in doubt" in render_status(status_of(located(journal)), one=False)
    run.go("k1", Event.SEEN)
    run.go("k2", Event.LOST, Event.SEEN)
    text = render_status(status_of(located(journal)), one=False)
    assert "it died; all that it sent has been settled" in text
    assert "in doubt" not in text


@pytest.mark.usefixtures("run")
def test_a_process_that_took_the_lock_later_does_not_run_it(journal: Path):
    """The builders' runs began in 2027; a lock note from before that is the run's own."""
    with JournalLock(journal) as lock:
        lock.acquire(0)
        [line] = status_of(located(journal)).runs
        assert line.state is RunState.RUNNING
        note = lock.path.read_text().replace('"since": "20', '"since": "21')
        lock.path.write_text(note)
        [line] = status_of(located(journal)).runs
        assert line.state is RunState.DIED


def test_one_run_shows_its_doubts_with_their_places(journal: Path, run: Written):
    status = status_of(located(journal), run.store.run_id)
    told = json.loads(status_to_json(status, one=True))
    assert [doubt["key"] for doubt in told["run"]["doubts"]] == ["k1", "k2"]
    assert told["run"]["doubts"][0] == {
        "key": "k1",
        "source": "m.yaml:1",
        "interaction_id": "i1",
        "destination_uri": "genesys://queue/here",
        "run": run.store.run_id,
        "message_id": told["run"]["doubts"][0]["message_id"],
        "reason": "no reply within 10 s",
    }
    text = render_status(status, one=True)
    assert "k1  m.yaml:1" in text
    for word in ("transferred", "failed"):
        command = f"runner resolve {run.store.run_id} k1 --journal {journal} --as {word} --reason "
        assert f"\n    {command}" in text


def test_runs_come_newest_first_with_their_counts(journal: Path, run: Written):
    run.finish("in-doubt")
    begun(run.store, manifest_rows(1)).finish("ok")
    status = status_of(located(journal))
    assert [line.outcome for line in status.runs] == ["ok", "in-doubt"]
    assert status.runs[0].counts == {Outcome.UNCHANGED: 1}
    assert status.doubts == 2
    assert "2 transfers in doubt" in render_status(status, one=False)


def test_a_run_that_left_something_offers_to_apply_again(journal: Path, run: Written):
    run.go("k1", Event.SEEN)
    run.go("k2", Event.LOST, Event.SEEN)
    run.finish("stopped", exit_code=5)
    text = render_status(status_of(located(journal), run.store.run_id), one=True)
    assert "when the cause is removed, apply again; it sends only what has not been" in text
    assert "\n    runner apply m.yaml\n" in text


def test_a_run_that_left_nothing_offers_no_command(journal: Path):
    store = opened(journal)
    written = begun(store, manifest_rows(1))
    written.go("k0", Event.INTENT, Event.LOST, Event.SEEN)
    written.finish("in-doubt", exit_code=6)
    assert not status_of(located(journal), store.run_id).steps
    store.close()


def test_a_run_that_ended_with_doubts_of_others_leads_to_them(journal: Path, run: Written):
    store, first = run.store, run.store.run_id
    run.finish("in-doubt", exit_code=6)
    begun(store, manifest_rows(1)).finish("in-doubt", exit_code=6, others_in_doubt=2)
    [step] = status_of(located(journal), store.run_id).steps
    assert step.command == f"runner status --journal {journal}"
    [step] = status_of(located(journal)).steps
    assert step.command == f"runner status {first} --journal {journal}"


def test_a_file_that_is_not_a_journal_is_reported_as_such(journal: Path):
    journal.write_text("something else entirely")
    with pytest.raises(
        StorageError, match=r"cannot be read .*; it may be damaged, or not a journal"
    ):
        status_of(located(journal))


@pytest.mark.usefixtures("run")
def test_an_unknown_run_is_a_usage_error(journal: Path):
    with pytest.raises(UsageError, match="did you mean run-"):
        status_of(located(journal), "run")


def test_it_shows_a_run_while_it_goes_on_and_after_it_died(gateway: Gateway, harness: Harness):
    """Neither hinders the other; then the process is killed, and the same run has died."""
    gateway.default = Step(until="looked at")
    content = manifest(gateway, [transfer() for _ in range(6)], limits={"in_flight": 2})
    content["policy"]["negotiation_timeout"] = "60s"
    with started("apply", harness.write(content), cwd=harness.folder) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 2)
        live = json.loads(harness.run("status", "latest", "--output", "json").out)["run"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert live["state"] == live["outcome"] == "running"
    assert live["in_flight"] == 2
    assert live["counts"]["unattempted"] == 4
    assert f"process {process.pid} on " in live["holder"]
    listed = harness.run("status", "--manifest", "batch.yaml")
    assert listed.code == 0
    assert "died" in listed.out
    assert "2 in doubt, 4 not attempted" in listed.out
