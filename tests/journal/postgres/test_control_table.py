"""The table of commands: who took which, which lapse, and what hostile rows do."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from runner.core.errors import NotRunning
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.access import LaneLock, PostgresJournal
from runner.journal.postgres.connection import JournalUrl
from runner.journal.postgres.control_client import TableClient
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from tests.journal.builders import ORIGIN
from tests.postgres_server import connect, execute, fresh_database

PAUSE = ControlRequest("id-1", "pause")


@pytest.fixture
def url() -> str:
    return fresh_database()


def journal_of(url: str) -> PostgresJournal:
    return PostgresJournal(JournalLocation(f"{url}&lane=edge"))


@contextmanager
def owned(url: str) -> Iterator[LaneLock]:
    with journal_of(url).lock() as lock:
        lock.acquire(0.0)
        lock.open_store(environment="production", origin=ORIGIN).close()
        yield lock


def client_of(url: str, meanwhile: Callable[[float], None]) -> TableClient:
    """Return an operator's end that does something whenever it would wait."""
    holder = journal_of(url).holder()
    assert holder is not None
    return TableClient(JournalUrl.parse(url), 1, holder, sleep=meanwhile)


async def done(request: ControlRequest, who: Requester) -> ControlAnswer:
    return ControlAnswer(f"{who}: {request.command}")


def serve_once(url: str, lock: LaneLock, *, answered: int = 1) -> None:
    """Take commands until one more, given last, is answered, and so many are."""
    insert(url, '{"id": "last", "command": "show"}')

    async def main() -> None:
        serving = asyncio.create_task(lock.open_control(None).serve(done))
        await asyncio.to_thread(until_answered, url, answered)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


def until_answered(url: str, number: int) -> None:
    while all_answers(url)[-1] is None or sum(map(bool, all_answers(url))) < number:
        Event().wait(0.01)


def insert(url: str, request: str, more: str = "", values: str = "") -> None:
    execute(
        url,
        f"INSERT INTO runner.commands(lane, epoch, request{more})"
        f" SELECT lane, epoch, '{request}'{values} FROM runner.lanes",
    )


def answers(url: str) -> list[str | None]:
    return all_answers(url)[:-1]


def all_answers(url: str) -> list[str | None]:
    return [answer for (answer,) in execute(url, "SELECT answer FROM runner.commands ORDER BY no")]


def test_who_asked_and_when_is_the_database_s_word(url: str):
    with owned(url) as lock:
        line = '{"id": "1", "command": "pause"}'
        insert(
            url, line, ", asked_by, asked_at, taken_at, answer",
            ", 'the boss', 'infinity', '2000-01-01', 'forged'",
        )  # fmt: skip
        serve_once(url, lock)
    assert answers(url) == ['{"done":true,"text":"database role postgres: pause","state":{}}']


def test_a_command_that_no_run_takes_is_withdrawn_and_never_taken_later(url: str):
    with owned(url) as lock:
        with pytest.raises(NotRunning, match="withdrawn: nothing was changed"):
            client_of(url, lambda _: None).ask(PAUSE)
        serve_once(url, lock)
    assert answers(url) == [None]


def test_a_command_for_a_run_that_was_followed_reaches_neither(url: str):
    with owned(url):
        client = client_of(url, lambda _: None)
    with owned(url) as later:
        with pytest.raises(NotRunning, match="has ended just now"):
            client.ask(PAUSE)
        insert(url, '{"id": "1", "command": "stop"}')
        execute(url, "UPDATE runner.commands SET epoch = epoch - 1")
        serve_once(url, later)
    assert answers(url) == [None]


def test_a_run_that_ends_before_it_takes_a_command(url: str):
    with owned(url) as lock:
        client = client_of(url, lambda _: lock.release())
        with pytest.raises(NotRunning, match="nothing was changed"):
            client.ask(PAUSE)


def test_a_run_that_dies_with_a_command_leaves_open_whether_it_is_in_force(url: str):
    def dies(_: float) -> None:
        execute(url, "UPDATE runner.commands SET taken_at = clock_timestamp()")
        execute(url, "UPDATE runner.lanes SET epoch = epoch + 1")

    with owned(url), pytest.raises(NotRunning, match="not known; what shows it: ") as left_open:
        client_of(url, dies).ask(PAUSE)
    offered = str(left_open.value).partition("shows it: ")[2]
    assert shlex.split(offered) == [
        "runner",
        "control",
        "show",
        "--journal",
        str(JournalUrl.parse(url)),
    ]


def test_a_command_lapses(url: str):
    with owned(url) as lock:
        insert(url, '{"id": "1", "command": "stop"}')
        execute(url, "UPDATE runner.commands SET asked_at = asked_at - interval '61 seconds'")
        serve_once(url, lock)
    assert answers(url) == [None]


def test_an_old_command_that_somebody_is_withdrawing_keeps_a_run_from_no_other(url: str):
    with owned(url) as lock:
        insert(url, '{"id": "1", "command": "show"}')
        execute(url, "UPDATE runner.commands SET asked_at = asked_at - interval '2 days'")
        with connect(url) as keeper, keeper.transaction():
            assert keeper.execute(b"SELECT runner.withdraw_v1(1)").fetchall() == [(True,)]
            serve_once(url, lock)
    assert answers(url) == [None]


def test_rubbish_is_refused_and_the_next_command_is_taken(url: str):
    with owned(url) as lock:
        for rubbish in ("", "[]", "[" * 10_000, '{"id": 1}', '{"id": "1", "command": null}'):
            insert(url, rubbish)
        insert(url, '{"id": "1", "command": "pause"}')
        serve_once(url, lock)
    *refused, last = answers(url)
    assert all(answer is not None and '"done":false' in answer for answer in refused)
    assert last is not None
    assert '"done":true' in last


def test_a_stop_comes_first_and_then_each_role_in_turn(url: str):
    for role in ("noisy", "calm"):
        execute("postgres", f"DROP ROLE IF EXISTS {role}")
        execute("postgres", f"CREATE ROLE {role} LOGIN SUPERUSER")
    noisy, calm = (url.replace("user=postgres", f"user={role}") for role in ("noisy", "calm"))
    with owned(url) as lock:
        for n in range(16):
            insert(noisy, f'{{"id": "{n}", "command": "show"}}')
        insert(calm, '{"id": "c", "command": "resume"}')
        insert(noisy, '{"id": "s", "command": "stop"}')
        insert(calm, '{"id": "p", "command": "pause"}')
        serve_once(url, lock, answered=20)
    order = "SELECT request::json->>'id' FROM runner.commands ORDER BY taken_at"
    assert [row[0] for row in execute(url, order)][:6] == ["s", "p", "last", "0", "c", "1"]


def test_a_client_whose_role_has_its_share_open_waits_and_then_says_so(url: str):
    with owned(url):
        for n in range(16):
            insert(url, f'{{"id": "{n}", "command": "show"}}')
        with pytest.raises(NotRunning, match="other commands of this database role to take first"):
            client_of(url, lambda _: None).ask(ControlRequest("id-1", "show"))

        def all_are_answered(_: float) -> None:
            execute(url, "UPDATE runner.commands SET taken_at = now(), answer = '{}'")

        client = client_of(url, all_are_answered)
        with pytest.raises(NotRunning, match="cannot be read"):  # its own answer: it was given
            client.ask(ControlRequest("id-1", "show"))


@pytest.mark.parametrize("field", ["id", "command"])
def test_half_a_character_is_refused(url: str, field: str):
    with owned(url) as lock:
        request = {"id": "1", "command": "pause"} | {field: "\ud800"}
        insert(url, json.dumps(request))
        serve_once(url, lock)
    [refused] = answers(url)
    assert refused is not None
    assert '"done":false' in refused
