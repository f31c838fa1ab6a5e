"""The socket for commands: who may use it, what is in its way, and clients that misbehave."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shlex
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from runner.core.errors import NotRunning, StorageError
from runner.journal.control import server
from runner.journal.control.client import SocketClient
from runner.journal.control.peer import Peer, peer_of, requester_of, user_name
from runner.journal.control.place import LONGEST_PATH, bound_socket, socket_path
from runner.journal.control.server import MOST_CLIENTS, SocketControl
from runner.journal.control.wire import LONGEST_LINE
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from runner.ports.journal_access import Holder

JOURNAL = "/srv/the night.db"
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return socket_path(tmp_path / "night.db", {"XDG_RUNTIME_DIR": str(tmp_path)})


def holder(path: Path | None, pid: int = os.getpid(), uid: int = os.geteuid()) -> Holder:
    control = None if path is None else str(path)
    return Holder(pid, "host", "2026-12-01T00:00:00Z", control, uid)


class Received:
    """Keeps what reaches the run, and answers it."""

    def __init__(self) -> None:
        self.requests: list[tuple[ControlRequest, Requester]] = []

    async def handle(self, request: ControlRequest, who: Requester) -> ControlAnswer:
        self.requests.append((request, who))
        return ControlAnswer(f"did {request.command}", {"n": len(self.requests)})


def served(
    path: Path, act: Callable[[], Awaitable[object]], group: str | None = None
) -> list[tuple[ControlRequest, Requester]]:
    """Serve commands while `act` goes on; return what was received."""
    received = Received()

    async def main() -> None:
        control = SocketControl(path, group)
        serving = asyncio.create_task(control.serve(received.handle))
        await asyncio.sleep(0)
        try:
            await act()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())
    assert not path.exists()
    return received.requests


def modes(path: Path) -> tuple[int, int]:
    """Return the modes of a socket's folder and of the socket."""
    return stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)


def group_of(path: Path) -> str:
    return path.group()


def asking(path: Path, **lie: int) -> Awaitable[ControlAnswer]:
    client = SocketClient(holder(path, **lie), JOURNAL)
    return asyncio.to_thread(client.ask, ControlRequest("id-1", "pause", reason="because"))


async def sent(path: Path, data: bytes, *, closes: bool = True) -> bytes:
    """Send bytes as a client that knows no rules; return what comes back."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    if closes:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_a_command_arrives_with_who_gave_it(path: Path):
    async def act() -> None:
        answer = await asking(path)
        assert answer == ControlAnswer("did pause", {"n": 1})

    [(request, who)] = served(path, act)
    assert request == ControlRequest("id-1", "pause", reason="because")
    assert who.uid == os.geteuid()
    assert who.user == user_name(os.geteuid())


def test_the_socket_and_its_folder_are_closed_to_others(path: Path):
    async def act() -> None:
        assert modes(path) == (0o700, 0o600)

    served(path, act)


@as_root
def test_a_group_may_be_let_in(path: Path):
    async def act() -> None:
        assert modes(path) == (0o710, 0o660)
        assert group_of(path) == group_of(path.parent) == "daemon"

    served(path, act, group="daemon")

    async def closed_again() -> None:
        assert modes(path) == (0o700, 0o600)

    served(path, closed_again)


def test_an_unknown_group_is_an_error(path: Path):
    with pytest.raises(StorageError, match="no group no-such-group"):
        bound_socket(path, "no-such-group")


@pytest.mark.parametrize("leads", ["to a folder", "nowhere"])
def test_a_link_in_the_way_is_not_followed(path: Path, tmp_path: Path, leads: str):
    target = tmp_path / "elsewhere"
    if leads == "to a folder":
        target.mkdir()
    path.parent.symlink_to(target)
    with pytest.raises(StorageError, match="no link"):
        bound_socket(path, None)
    assert not target.exists() or not list(target.iterdir())


def test_a_link_in_the_socket_s_place_is_removed_and_not_followed(path: Path, tmp_path: Path):
    target = tmp_path / "precious"
    target.write_text("keep")
    path.parent.mkdir(mode=0o700)
    path.symlink_to(target)
    bound_socket(path, None).close()
    assert stat.S_ISSOCK(path.lstat().st_mode)
    assert target.read_text() == "keep"


@as_root
def test_a_folder_of_another_account_is_not_used(path: Path):
    path.parent.mkdir()
    os.chown(path.parent, NOBODY, NOBODY)
    with pytest.raises(StorageError, match="belongs to another account"):
        bound_socket(path, None)


def test_an_open_folder_of_this_account_is_closed(path: Path):
    path.parent.mkdir()
    path.parent.chmod(0o777)
    bound_socket(path, None).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["file", "folder"])
def test_something_else_in_the_way(path: Path, what: str):
    path.parent.mkdir(mode=0o700)
    if what == "folder":
        path.mkdir()
        with pytest.raises(StorageError, match="remove it"):
            bound_socket(path, None)
    else:
        path.parent.rmdir()
        path.parent.write_text("")
        with pytest.raises(StorageError, match="must be a folder"):
            bound_socket(path, None)


def test_a_stale_socket_of_a_dead_run_is_replaced(path: Path):
    bound_socket(path, None).close()  # as after kill -9: the file stays
    with pytest.raises(NotRunning, match="cannot be asked"):
        SocketClient(holder(path), JOURNAL).ask(ControlRequest("1", "show"))
    assert len(served(path, lambda: asking(path))) == 1


def test_a_run_that_does_not_answer_leaves_open_whether_it_took_the_command(path: Path):
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        client = SocketClient(holder(path), JOURNAL, answer_s=0.01)
        with pytest.raises(NotRunning, match="not known; what shows it: ") as left_open:
            client.ask(ControlRequest("1", "stop"))
    offered = str(left_open.value).partition("shows it: ")[2]
    assert shlex.split(offered) == ["runner", "control", "show", "--journal", JOURNAL]


def as_nobody(act: Callable[[], object]) -> None:
    """Act in this thread with the rights of an account that has none here."""
    libc = ctypes.CDLL(None)
    libc.setfsgid(NOBODY)
    libc.setfsuid(NOBODY)  # of this thread alone; it takes root's rights to files away
    try:
        act()
    finally:
        libc.setfsuid(0)
        libc.setfsgid(0)


@as_root
@pytest.mark.skipif(sys.platform != "linux", reason="threads have rights of their own there alone")
def test_another_account_can_neither_use_the_socket_nor_take_its_place(path: Path):
    for folder in path.parents[1:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)  # it may come as far as the folder
    folder = path.parent

    def attempt() -> None:
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            attempts: list[Callable[[], object]] = [
                lambda: one.connect(str(path)),
                lambda: other.bind(str(folder / "other")),
                path.unlink,
                folder.rmdir,
                lambda: folder.rename(folder.with_name("gone")),
                lambda: folder.chmod(0o777),
                lambda: list(folder.iterdir()),
            ]
            for each in attempts:
                with pytest.raises(PermissionError):
                    each()

    async def act() -> None:
        await asyncio.to_thread(as_nobody, attempt)
        assert (await asking(path)).is_done

    assert len(served(path, act)) == 1


@pytest.mark.parametrize("lie", [{"pid": 1}, {"uid": 4242}])
def test_the_client_tells_nothing_to_another_than_the_lock_s_holder(
    path: Path, lie: dict[str, int]
):
    async def act() -> None:
        with pytest.raises(NotRunning, match="nothing was sent to it"):
            await asking(path, **lie)

    assert served(path, act) == []


def test_a_holder_that_takes_no_commands():
    with pytest.raises(NotRunning, match="takes no commands"):
        SocketClient(holder(None), JOURNAL).ask(ControlRequest("1", "show"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b'{"id": "1", "command": "pause"}',  # no line break
        b"\x00\xff\xfe rubbish\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"[" * 10_000 + b"\n",
        b"x" * (LONGEST_LINE + 10),
        b"[]\n",
        b'{"id": 1, "command": "pause"}\n',
        b'{"id": "", "command": "pause"}\n',
        b'{"id": "' + b"1" * 200 + b'", "command": "pause"}\n',
        b'{"id": "1", "command": null}\n',
        b'{"id": "1", "command": "stop", "reason": "two\\nlines"}\n',
        b'{"id": "1", "command": "stop", "reason": "\\u202e"}\n',
        b'{"id": "1", "command": "stop", "reason": "\\ud800"}\n',
        b'{"id": "1", "command": "rate", "value": 5}\n',
    ],
)
def test_rubbish_is_refused_and_the_next_command_is_taken(path: Path, data: bytes):
    async def act() -> None:
        answer = await sent(path, data)
        assert b'"done":false' in answer or not answer
        assert (await asking(path)).is_done

    assert len(served(path, act)) == 1


def test_a_client_that_goes_away_at_once_and_one_that_never_reads(path: Path):
    async def act() -> None:
        for _ in range(50):
            silent = socket.socket(socket.AF_UNIX)
            silent.connect(str(path))
            silent.close()
        deaf = socket.socket(socket.AF_UNIX)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.connect(str(path))
        deaf.sendall(b'{"id": "2", "command": "show"}\n')
        assert (await asking(path)).is_done
        deaf.close()

    assert len(served(path, act)) == 2


def test_a_thousand_clients_that_say_nothing_keep_the_run_from_nothing(path: Path):
    async def act() -> None:
        crowd = [await asyncio.open_unix_connection(str(path)) for _ in range(1000)]
        answers = [await reader.read() for reader, _ in crowd[MOST_CLIENTS:]]
        assert all(b"busy" in answer for answer in answers)
        loop = asyncio.get_running_loop()

        def crowd_leaves(_seconds: float) -> None:
            for _, writer in crowd:
                loop.call_soon_threadsafe(writer.close)

        client = SocketClient(holder(path), JOURNAL, sleep=crowd_leaves)
        answer = ControlAnswer("busy", {"busy": True}, is_done=False)
        while answer.state.get("busy"):
            answer = await asyncio.to_thread(client.ask, ControlRequest("1", "stop"))
        assert answer.is_done

    assert len(served(path, act)) == 1


def test_a_silent_client_is_sent_away(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.01)

    async def act() -> None:
        assert await sent(path, b'{"id": "1"', closes=False) == b""

    assert served(path, act) == []


def test_a_path_that_is_too_long_goes_to_the_runtime_folder(tmp_path: Path):
    journal = tmp_path / ("n" * 90 + ".db")
    found = socket_path(journal, {"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert found.parent.parent == Path("/run/user/1000")
    assert found == socket_path(
        tmp_path / "." / journal.name, {"XDG_RUNTIME_DIR": "/run/user/1000"}
    )
    assert len(os.fsencode(found)) <= LONGEST_PATH
    for runtime in ("", "relative", "/run/" + "x" * 100):
        with pytest.raises(StorageError, match="too long"):
            socket_path(journal, {"XDG_RUNTIME_DIR": runtime})


def test_the_kernel_says_who_is_there():
    here, there = socket.socketpair()
    with here, there:
        peer = peer_of(here)
    assert (peer.uid, peer.pid) == (os.geteuid(), os.getpid())
    assert requester_of(Peer(424242, None)) == Requester(424242, "uid 424242")
    assert str(Requester(0, "root", 1000, "alice")) == "root, logged in as alice"
