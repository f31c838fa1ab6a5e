"""A socket before the database's whose bytes can be held: what was on its way is delivered late."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class HeldConnection:
    """Listens in a folder of its own, as the server does in its one, and passes all on."""

    def __init__(self, target: Path, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o755)
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(folder / target.name))
        self._listener.listen(32)
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Pass nothing on, in either direction."""
        self._flows.clear()

    def release(self) -> None:
        """Pass on what was held, and all that follows."""
        self._flows.set()

    def close(self) -> None:
        """Take no more connections."""
        self.release()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._flows.wait()
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            far.connect(str(self._target))
        except OSError:
            near.close()
            far.close()
            return
        other = threading.Thread(target=self._pass, args=(far, near), daemon=True)
        other.start()
        self._pass(near, far)
        other.join()
        near.close()
        far.close()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        self._flows.wait()
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
