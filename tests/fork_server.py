"""Starts the command line by forking a process that has imported it already.

Most of a short command's time is Python's start and the program's imports. A fork server pays for
both once: each command is still a process of its own, with its own arguments, folder, environment
and streams, and it ends as a command line ends, but that its modules are not taken apart
(`tests.preload`). What acts while an interpreter starts (variables
such as `PYTHONUTF8`, the process's arguments in /proc) needs a fresh one: `subprocess`.

The server takes orders on a socket, a JSON object a message with three descriptors beside it, and
reports `{"pid": …}` for each and `{"pid": …, "code": …}` when it has ended.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LONGEST_ORDER = 1 << 20
PIPES = 3  # standard input, output, error


class ForkedProcess:
    """A command that was started by the server; used like a `subprocess.Popen` in text mode."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path | str, env: Mapping[str, str]
    ) -> None:
        self.args = ["runner", *arguments]
        self.returncode: int | None = None
        (stdin, into), (out, stdout), (err, stderr) = (os.pipe() for _ in range(PIPES))
        try:
            self._start(arguments, [stdin, stdout, stderr], cwd=cwd, env=env)
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        self.stdin = os.fdopen(into, "w", encoding="utf-8")
        self.stdout = os.fdopen(out, encoding="utf-8")
        self.stderr = os.fdopen(err, encoding="utf-8")

    @classmethod
    def on_terminal(
        cls,
        arguments: Sequence[str],
        descriptors: Sequence[int],
        *,
        cwd: Path | str,
        env: Mapping[str, str],
    ) -> ForkedProcess:
        """Start one in a session of its own, whose terminal is the first of three descriptors."""
        made = cls.__new__(cls)
        made.args = ["runner", *arguments]
        made.returncode = None
        made._start(arguments, descriptors, cwd=cwd, env=env, leads=True)
        return made

    def _start(
        self,
        arguments: Sequence[str],
        descriptors: Sequence[int],
        *,
        cwd: Path | str,
        env: Mapping[str, str],
        leads: bool = False,
    ) -> None:
        order = {
            "arguments": list(arguments),
            "folder": str(cwd),
            "environment": dict(env),
            "leads_session": leads,
        }
        self._client = _client()
        self.pid = self._client.start(order, list(descriptors))

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        if self.returncode is None:
            self.returncode = self._client.code_of(self.pid, 0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            self.returncode = self._client.code_of(self.pid, timeout)
        if self.returncode is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, text: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Give it all of its input, and return all of its output once it has ended."""
        said: dict[str, str] = {}
        readers = [
            threading.Thread(
                target=lambda n=name, s=stream: said.update({n: s.read()}), daemon=True
            )
            for name, stream in (("out", self.stdout), ("err", self.stderr))
        ]
        for reader in readers:
            reader.start()
        with suppress(BrokenPipeError):
            self.stdin.write(text or "")
            self.stdin.close()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        if len(said) < len(readers):
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return said["out"], said["err"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, and close its streams."""
        self.kill()
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            with suppress(BrokenPipeError):
                stream.close()


class _Client:
    """This process's server: orders go out one at a time, ends come back at any time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        self._ordering = threading.Lock()
        self._changed = threading.Condition()
        self._started: list[int] = []
        self._codes: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, order: Mapping[str, Any], descriptors: list[int]) -> int:
        with self._ordering:
            socket.send_fds(self._socket, [json.dumps(order).encode()], descriptors)
            with self._changed:
                self._changed.wait_for(lambda: self._started)
                return self._started.pop()

    def code_of(self, pid: int, timeout: float | None) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: pid in self._codes, timeout)
            return self._codes.get(pid)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._server.wait()

    def _listen(self) -> None:
        while report := self._socket.recv(LONGEST_ORDER):
            fact = json.loads(report)
            with self._changed:
                if "code" in fact:
                    self._codes[fact["pid"]] = fact["code"]
                else:
                    self._codes.pop(fact["pid"], None)  # an earlier process's number comes again
                    self._started.append(fact["pid"])
                self._changed.notify_all()


_only: list[_Client] = []
_making = threading.Lock()


def _client() -> _Client:
    with _making:
        if not _only:
            _only.append(_Client())
            atexit.register(_only[0].close)
        return _only[0]


def serve(orders: socket.socket) -> None:
    """Take orders until there are no more; a child comes out of here as the command line."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([orders.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, LONGEST_ORDER)
            _reap(orders)
        if orders.fileno() not in readable:
            continue
        message, descriptors, _, _ = socket.recv_fds(orders, LONGEST_ORDER, PIPES)
        if not message:
            return
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (orders.detach(), woken, wake):
                os.close(descriptor)
            _become(json.loads(message), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(json.dumps({"pid": pid}).encode())


def _reap(orders: socket.socket) -> None:
    with suppress(ChildProcessError):  # there are none
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            orders.send(json.dumps({"pid": ended[0], "code": code}).encode())


def _become(order: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    if order["leads_session"]:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv[:] = ["runner", *order["arguments"]]
    from runner.__main__ import main  # noqa: PLC0415 - imported before, by the server
    from tests.preload import run_to_end  # noqa: PLC0415

    run_to_end(main)


if __name__ == "__main__":
    from tests.preload import preload  # the client needs none of it

    preload()
    serve(socket.socket(fileno=int(sys.argv[1])))
