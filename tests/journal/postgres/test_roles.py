"""The roles of docs/fleet.md are enough, and no more."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.states import Event
from runner.journals import check_journal, fleet_at, fleet_worker_at, journal_at
from runner.ports.fleet import NewSubmission, SubmissionState
from runner.ports.journal_access import JournalAccess
from tests.journal.builders import AT, ORIGIN, manifest_rows, owed
from tests.journal.contract.journals import started
from tests.postgres_server import execute, fresh_database

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "fleet.md"
ROLES = ("runner_writer", "runner_reader", "runner_submitter", "runner_operator")


@pytest.fixture(scope="module")
def url() -> str:
    made = fresh_database()
    for role in ROLES:
        execute("postgres", f"DROP ROLE IF EXISTS {role}")
        execute("postgres", f"CREATE ROLE {role} LOGIN")
    [grants] = re.findall(
        r"^```sql\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    execute(made, grants)
    return made


def as_role(url: str, role: str) -> JournalAccess:
    return journal_at(JournalLocation(url.replace("user=postgres", f"user={role}") + "&lane=edge"))


def test_a_writer_can_do_all_that_a_run_does_and_a_reader_all_that_reads(url: str):
    writer, reader = (as_role(url, role) for role in ROLES[:2])
    with writer.lock() as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        run = started(store, writer, manifest_rows(2, callbacks=("crm",)))
        run.go("k0", Event.INTENT)
        store.recover(at=AT)
        life = run.life("k1")
        store.record([life.intent()])
        store.record([life.answer(Event.ACCEPTED, notifications=[owed("w1")])])
        run.store.settle_callback("w1", state="delivered", attempts=1, reason=None, at=AT)
        store.waive(["h"], at=AT)
        run.finish()
    assert reader.exists()
    assert reader.is_same(writer.location)
    with reader.open_history() as history:
        number = history.run_number("latest")
        assert len(list(history.report_source(number).transfers())) == 2
        assert history.count_held() == 1
        assert list(history.claims([("a", "i0")]))
    with reader.follow(number) as follower:
        assert follower.look(AT).settled == 2
    assert all(each.holds for each in check_journal(JournalLocation(url)))
    with reader.lock() as lock, pytest.raises(StorageError, match="permission denied"):
        lock.acquire(0.0)


def new_submission() -> NewSubmission:
    return NewSubmission("eu", "b", "b.yaml", {"b.yaml": b"version: 1"}, "somebody")


def test_a_submitter_can_submit_order_and_see_the_fleet_and_a_worker_can_follow(url: str):
    places = [JournalLocation(url.replace("user=postgres", f"user={role}")) for role in ROLES]
    with ExitStack() as stack:
        worker = stack.enter_context(closing(fleet_worker_at(places[0], "w1", ttl_s=15.0)))
        reader = stack.enter_context(closing(fleet_at(places[1])))
        submitter = stack.enter_context(closing(fleet_at(places[2])))
        worker.enlist(environments=["eu"], process="p")
        [number] = submitter.submit([new_submission()])
        [seen], _ = worker.look([])
        assert seen.id == number
        assert worker.files(number) == {"b.yaml": b"version: 1"}
        submitter.cancel(number)
        submitter.drain("w1")
        assert worker.look([]) == ([], True)
        assert submitter.submission(number).state is SubmissionState.CANCELLED
        [other] = submitter.submit([new_submission()])
        assert worker.refuse(other, 2, "why")
        worker.retire()
        assert [each.id for each in reader.state().submissions] == [number, other]
        with pytest.raises(StorageError, match="permission denied"):
            reader.submit([new_submission()])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runner.submissions SET state = 'ended'",
        "UPDATE runner.submissions SET first_run = 1",
        "INSERT INTO runner.submissions(state, first_run) VALUES ('ended', 1)",
        "SELECT * FROM runner.submission_files",
        "SELECT * FROM runner.transfers",
        "UPDATE runner.lanes SET epoch = 1",
        "DELETE FROM runner.submissions",
    ],
)
def test_a_submitter_may_not_say_what_became_of_a_submission(url: str, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url.replace("user=postgres", "user=runner_submitter"), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runner.submissions SET options = ''",
        "UPDATE runner.submission_files SET content = ''",
        "UPDATE runner.events SET body = ''",
        "DELETE FROM runner.events",
        "DELETE FROM runner.transfers",
        "UPDATE runner.rows SET action = 'send'",
        "UPDATE runner.journal SET value = 'single'",
        "DROP TABLE runner.lanes",
        "CREATE TABLE runner.x(a int)",
    ],
)
def test_no_writer_may_change_what_was_recorded(url: str, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(url.replace("user=postgres", "user=runner_writer"), statement)


def test_an_operator_gives_commands_under_its_own_name_alone(url: str):
    operator = url.replace("user=postgres", "user=runner_operator")
    writer = url.replace("user=postgres", "user=runner_writer")
    given = (
        "INSERT INTO runner.commands(lane, epoch, request) VALUES (1, 1, 'r') RETURNING asked_by"
    )
    assert execute(operator, given) == [("runner_operator",)]
    assert execute(operator, "UPDATE runner.commands SET withdrawn_at = now() RETURNING no")
    assert execute(operator, "SELECT count(*) FROM runner.runs")
    assert execute(writer, "UPDATE runner.commands SET taken_at = now(), answer = 'a' RETURNING no")
    refused = [
        (writer, given),
        (writer, "UPDATE runner.commands SET asked_by = 'runner_operator'"),
        (operator, "UPDATE runner.commands SET answer = 'forged'"),
        (
            operator,
            "INSERT INTO runner.commands(lane, epoch, request, asked_by) VALUES (1, 1, '', 'x')",
        ),
        (operator, "DELETE FROM runner.commands"),
        (operator, "UPDATE runner.lanes SET epoch = 9"),
        (url.replace("user=postgres", "user=runner_submitter"), given),
        (url.replace("user=postgres", "user=runner_reader"), given),
    ]
    for who, statement in refused:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(who, statement)
