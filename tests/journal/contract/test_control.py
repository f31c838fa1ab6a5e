"""How a running batch is given commands, of every database: see `ports.control`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.errors import NotRunning
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from runner.ports.journal_access import JournalAccess, JournalLock
from tests.journal.builders import ORIGIN
from tests.journal.contract.journals import DATABASES

PAUSE = ControlRequest("id-1", "pause", None, "20m", "the queue is full")


class Received:
    """Keeps what reaches the run, and answers it."""

    def __init__(self) -> None:
        self.requests: list[tuple[ControlRequest, Requester]] = []

    async def handle(self, request: ControlRequest, who: Requester) -> ControlAnswer:
        self.requests.append((request, who))
        is_known = request.command != "stop"
        return ControlAnswer(f"did {request.command}", {"n": len(self.requests)}, is_done=is_known)


@pytest.fixture(params=DATABASES)
def journal(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> JournalAccess:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return DATABASES[request.param](tmp_path)


@pytest.fixture
def lock(journal: JournalAccess) -> Iterator[JournalLock]:
    with journal.lock() as lock:
        lock.acquire(0)
        lock.open_store(environment="production", origin=ORIGIN).close()
        yield lock


def asked(journal: JournalAccess, request: ControlRequest) -> ControlAnswer:
    while (holder := journal.holder()) is None or holder.control is None:
        pass  # the run says where it takes commands once it does
    return journal.control_client(holder).ask(request)


def served(
    journal: JournalAccess, lock: JournalLock, *requests: ControlRequest
) -> tuple[list[ControlAnswer], Received]:
    received = Received()

    async def main() -> list[ControlAnswer]:
        serving = asyncio.create_task(lock.open_control(None).serve(received.handle))
        answers = [await asyncio.to_thread(asked, journal, request) for request in requests]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return answers

    return asyncio.run(main()), received


def test_a_command_arrives_as_it_was_given_and_its_answer_comes_back(
    journal: JournalAccess, lock: JournalLock
):
    answers, received = served(journal, lock, PAUSE, ControlRequest("id-2", "stop"))
    assert answers == [
        ControlAnswer("did pause", {"n": 1}),
        ControlAnswer("did stop", {"n": 2}, is_done=False),
    ]
    assert [request for request, _ in received.requests] == [PAUSE, ControlRequest("id-2", "stop")]


def test_who_gives_it_is_not_what_the_command_says(journal: JournalAccess, lock: JournalLock):
    _, received = served(journal, lock, PAUSE)
    [(_, who)] = received.requests
    assert str(who) in {"root", "database role postgres"} or who.uid


def test_a_run_that_takes_no_more_commands_is_not_running(
    journal: JournalAccess, lock: JournalLock
):
    served(journal, lock, PAUSE)
    holder = journal.holder()
    assert holder is not None
    client = journal.control_client(holder)
    lock.__exit__(None, None, None)
    with pytest.raises(NotRunning):
        client.ask(PAUSE)
