"""The roles of docs/fleet.md are enough, and no more: its SQL makes them in a new server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from io import BytesIO
from pathlib import Path

import psycopg
import pytest

from runner.app.status import fleet_holds
from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.states import Event
from runner.journal.postgres.connection import JournalUrl, ask
from runner.journal.postgres.connection import connect as journal_connection
from runner.journals import check_journal, create_journal, fleet_at, fleet_worker_at, journal_at
from runner.ports.fleet import NewSubmission, SubmissionState
from runner.ports.journal_access import Durability, JournalAccess, Lane
from tests.journal.builders import AT, ORIGIN, manifest_rows, owed
from tests.journal.contract.journals import started
from tests.postgres_server import beside_server, binary, connect, execute, server_user

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "fleet.md"
BLOCK = re.compile(
    r"^```sql\n-- as (\w+), in the database (\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL
)
WORKER, SUBMITTER, OTHER_SUBMITTER = "workers", "ann", "bob"
OPERATOR, OTHER_OPERATOR, READER = "noc", "noc2", "auditor"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return the folder of a server that knows no role but its superuser."""
    made = beside_server("roles")
    run = partial(
        subprocess.run, check=True, user=server_user(), cwd="/", stdout=subprocess.DEVNULL
    )
    initdb = [binary("initdb"), "-D", f"{made}/data", "-U", "postgres", "-A", "trust", "--no-sync"]
    pg_ctl = [binary("pg_ctl"), "-w", "-D", f"{made}/data", "-l", f"{made}/log"]
    run(initdb)
    run([*pg_ctl, "-o", f"-h '' -k {made}", "start"])
    yield made
    run([*pg_ctl, "-m", "immediate", "stop"])


@pytest.fixture(scope="module")
def url(folder: Path) -> str:
    """Carry the document out, as it says, and return the URL without a role."""
    blocks = BLOCK.findall(DOCUMENT.read_text("utf-8"))
    assert [role for role, _, _ in blocks] == ["postgres", "runner_owner", "postgres"]
    for role, database, text in blocks:
        url = f"postgresql:///{database}?host={folder}&user={role}"
        if role == "runner_owner":
            create_journal(JournalLocation(url), Durability.SINGLE)
        for statement in text.split(";\n"):
            if statement.strip():
                execute(url, statement)
    return f"postgresql:///transfers?host={folder}"


def at(url: str, role: str) -> str:
    return f"{url}&user={role}"


def as_role(url: str, role: str) -> JournalAccess:
    return journal_at(JournalLocation(f"{at(url, role)}&lane=edge"))


def test_a_writer_can_do_all_that_a_run_does_and_a_reader_all_that_reads(url: str):
    writer, reader = (as_role(url, role) for role in (WORKER, READER))
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
    assert all(each.holds for each in check_journal(JournalLocation(at(url, "runner_owner"))))
    with reader.lock() as lock, pytest.raises(StorageError, match="permission denied"):
        lock.acquire(0.0)


def new_submission() -> NewSubmission:
    files = {
        "b.yaml": partial(BytesIO, b"version: 1"),
        "rows.csv": partial(BytesIO, b"x" * 3_000_000),
    }
    return NewSubmission("eu", "b", "b.yaml", files, "somebody@host")


def test_a_submitter_can_submit_order_and_see_the_fleet_and_a_worker_can_follow(url: str):
    places = [JournalLocation(at(url, role)) for role in (WORKER, READER, SUBMITTER)]
    with ExitStack() as stack:
        worker = stack.enter_context(closing(fleet_worker_at(places[0], "w1", ttl_s=15.0)))
        reader = stack.enter_context(closing(fleet_at(places[1])))
        submitter = stack.enter_context(closing(fleet_at(places[2])))
        worker.enlist(environments=["eu"], process="p")
        [number] = submitter.submit([new_submission()])
        [seen], _ = worker.look([])
        assert (seen.id, seen.submitted_by, seen.submitted_from) == (number, "ann", "somebody@host")
        with worker.journal_of(number, Lane(ORIGIN, "a" * 64)).content() as content:
            pieces = [(name, len(piece)) for name, piece in content.files]
        assert pieces == [
            ("b.yaml", 10),
            ("rows.csv", 1 << 20),
            ("rows.csv", 1 << 20),
            ("rows.csv", 902848),
        ]
        submitter.cancel(number)
        submitter.drain("w1")
        assert worker.look([]) == ([], "ann")
        cancelled = submitter.submission(number)
        assert (cancelled.state, cancelled.cancelled_by) == (SubmissionState.CANCELLED, "ann")
        [other] = submitter.submit([new_submission()])
        assert worker.refuse(other, 2, "why")
        state = submitter.state()
        assert not state.sees_runs
        assert fleet_holds(places[2], state) == {}
        [lane] = state.lanes
        assert lane.why == "free"
        assert [each.drained_by for each in state.workers] == ["ann"]
        worker.enlist(environments=["eu"], process="p")
        assert worker.look([]) == ([], None)
        worker.retire()
        assert [each.id for each in reader.state().submissions] == [number, other]
        assert reader.state().sees_runs
        with pytest.raises(StorageError, match="permission denied"):
            reader.submit([new_submission()])


def test_nobody_adds_to_a_submission_but_the_transaction_that_makes_it(url: str):
    with closing(fleet_at(JournalLocation(at(url, SUBMITTER)))) as submitter:
        [number] = submitter.submit([new_submission()])
    added = (
        "INSERT INTO runner.submission_files(submission, name, content)"
        f" VALUES ({number}, 'more.csv', '')"
    )
    for role in (SUBMITTER, OTHER_SUBMITTER):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(at(url, role), added)
    forged = (
        "INSERT INTO runner.submissions(environment, batch, manifest, options, submitted_by)"
        " VALUES ('eu', 'b', 'm', '{}', 'ann')"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(at(url, OTHER_SUBMITTER), forged)
    assert execute(at(url, "runner_owner"), f"{forged} RETURNING submitted_by") == [
        ("runner_owner",)
    ]


def test_an_order_stays_with_who_gave_it(url: str):
    with closing(fleet_at(JournalLocation(at(url, SUBMITTER)))) as submitter:
        [number] = submitter.submit([new_submission()])
        for role in (OTHER_SUBMITTER, SUBMITTER):
            execute(at(url, role), f"INSERT INTO runner.orders(submission) VALUES ({number})")
        assert submitter.submission(number).cancelled_by == "bob"
    with closing(fleet_worker_at(JournalLocation(at(url, WORKER)), "w2", ttl_s=15.0)) as worker:
        worker.enlist(environments=["eu"], process="p")
        for role in (SUBMITTER, OTHER_SUBMITTER):
            execute(at(url, role), "INSERT INTO runner.orders(worker) VALUES ('w2')")
        assert worker.look([])[1] == "ann"
    orders = execute(at(url, SUBMITTER), "SELECT * FROM runner.orders")
    for none in ("submission", "worker"):  # of what is to come
        execute(at(url, SUBMITTER), f"INSERT INTO runner.orders({none}) VALUES ('99')")
    assert execute(at(url, SUBMITTER), "SELECT * FROM runner.orders") == orders


SUBMITTED = (
    "INSERT INTO runner.submissions(environment, batch, manifest, options)"
    " VALUES ('eu', 'b', 'm', '{}')"
)


def test_what_a_submitter_keeps_open_holds_up_no_worker_and_no_order(url: str):
    places = [JournalLocation(at(url, role)) for role in (WORKER, OTHER_SUBMITTER)]
    with ExitStack() as stack:
        worker = stack.enter_context(closing(fleet_worker_at(places[0], "w3", ttl_s=15.0)))
        other = stack.enter_context(closing(fleet_at(places[1])))
        worker.enlist(environments=["eu"], process="p")
        [number] = other.submit([new_submission()])
        keeper = stack.enter_context(connect(at(url, SUBMITTER)))
        stack.enter_context(keeper.transaction())
        for statement in (
            "INSERT INTO runner.orders(submission) SELECT id FROM runner.submissions",
            "INSERT INTO runner.orders(worker) SELECT name FROM runner.workers",
            SUBMITTED,
        ):
            assert keeper.execute(statement.encode()).rowcount > 0
        worker.enlist(environments=["eu"], process="p")
        with worker.journal_of(number, Lane(ORIGIN, "a" * 64)).lock() as lock:
            lock.acquire(0.0)
            lock.open_store(environment="eu", origin=ORIGIN)
        other.cancel(number)
        other.drain("w3")
        found, drained_by = worker.look([number])
        assert [each.cancelled_by for each in found if each.id == number] == ["bob"]
        assert drained_by == "bob"
        worker.retire()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runner.submissions SET state = 'ended'",
        "UPDATE runner.submissions SET first_run = 1",
        "SELECT id FROM runner.submissions FOR KEY SHARE",
        "SELECT name FROM runner.workers FOR KEY SHARE",
        "INSERT INTO runner.orders(submission, given_by) VALUES (1, 'bob')",
        "DELETE FROM runner.orders",
        "INSERT INTO runner.submissions(state, first_run) VALUES ('ended', 1)",
        "SELECT * FROM runner.submission_files",
        "SELECT body FROM runner.events",
        "SELECT manifest FROM runner.submissions",
        "SELECT options FROM runner.submissions",
        "SELECT head FROM runner.lanes",
        "SELECT * FROM runner.transfers",
        "SELECT * FROM runner.commands",
        "INSERT INTO runner.commands(lane, epoch, request) VALUES (1, 1, 'r')",
        "UPDATE runner.lanes SET epoch = 1",
        "DELETE FROM runner.submissions",
    ],
)
def test_a_submitter_may_not_see_more_or_say_what_became_of_a_submission(url: str, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(at(url, SUBMITTER), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runner.submissions SET options = ''",
        "UPDATE runner.submission_files SET content = ''",
        "INSERT INTO runner.orders(submission) VALUES (1)",
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
        execute(at(url, WORKER), statement)


GIVEN = "INSERT INTO runner.commands(lane, epoch, request) VALUES (1, 1, 'r') RETURNING no"


def test_an_operator_gives_commands_under_its_own_name_alone(url: str):
    execute(at(url, OPERATOR), GIVEN)
    shown = "SELECT asked_by FROM runner.commands ORDER BY no DESC LIMIT 1"
    assert execute(at(url, READER), shown) == [("noc",)]
    assert execute(at(url, OPERATOR), "SELECT count(*) FROM runner.runs")
    taken = "UPDATE runner.commands SET taken_at = now(), answer = 'a' RETURNING no"
    assert execute(at(url, WORKER), taken)
    refused = [
        (WORKER, GIVEN),
        (WORKER, "UPDATE runner.commands SET asked_by = 'noc'"),
        (OPERATOR, "UPDATE runner.commands SET answer = 'forged'"),
        (OPERATOR, "UPDATE runner.commands SET withdrawn_at = NULL"),
        (OPERATOR, "SELECT 1 FROM runner.commands FOR UPDATE"),
        (
            OPERATOR,
            "INSERT INTO runner.commands(lane, epoch, request, asked_by) VALUES (1, 1, '', 'x')",
        ),
        (OPERATOR, "DELETE FROM runner.commands"),
        (OPERATOR, "UPDATE runner.lanes SET epoch = 9"),
        (SUBMITTER, GIVEN),
        (READER, GIVEN),
    ]
    for who, statement in refused:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(at(url, who), statement)


def test_only_who_gave_a_command_withdraws_it_and_it_stays_withdrawn(url: str):
    [(no,)] = execute(at(url, OPERATOR), GIVEN)
    withdraw = f"SELECT runner.withdraw_v1({no})"
    at_first = f"SELECT withdrawn_at FROM runner.commands WHERE no = {no}"
    assert execute(at(url, OTHER_OPERATOR), withdraw) == [(False,)]
    assert execute(at(url, OPERATOR), withdraw) == [(True,)]
    [(then,)] = execute(at(url, READER), at_first)
    assert execute(at(url, OPERATOR), withdraw) == [(False,)]
    assert execute(at(url, READER), at_first) == [(then,)]


def test_a_role_has_a_share_of_open_commands_and_stop_has_one_of_its_own(url: str):
    def given(role: str, command: str) -> None:
        request = f'{{"id": "1", "command": "{command}"}}'
        execute(
            at(url, role),
            f"INSERT INTO runner.commands(lane, epoch, request) VALUES (7, 7, '{request}')",
        )

    for _ in range(16):
        given(OPERATOR, "show")
    with pytest.raises(psycopg.Error, match="16 commands of role noc wait"):
        given(OPERATOR, "show")
    given(OPERATOR, "stop")
    given(OTHER_OPERATOR, "show")


def test_the_rows_of_a_role_that_set_another_are_of_who_logged_in(url: str):
    with connect(at(url, OPERATOR)) as connection:
        connection.execute(b"SET ROLE runner_operator")
        connection.execute(GIVEN.encode())
    shown = "SELECT asked_by FROM runner.commands ORDER BY no DESC LIMIT 1"
    assert execute(at(url, READER), shown) == [("noc",)]


def test_nobody_lends_a_worker_an_operator_or_a_function(url: str):
    """Who may make one in the schema `public`, as with servers before 15, must not act as a worker."""
    execute(at(url, "postgres"), "GRANT CREATE ON SCHEMA public TO ann")
    for statement in (
        "CREATE FUNCTION public.lent(int, int) RETURNS int LANGUAGE sql AS 'SELECT -1'",
        "CREATE OPERATOR public.^ (FUNCTION = public.lent, LEFTARG = int, RIGHTARG = int)",
    ):
        execute(at(url, SUBMITTER), statement)
    with closing(journal_connection(JournalUrl.parse(at(url, WORKER)))) as connection:
        assert ask(connection, "SELECT 2 ^ 3") == [(8.0,)]
