"""A database with a synchronous standby, of which the primary can be lost at once.

`is_synchronous` False is a mistake that can be made on purpose: commits are not waited for.
"""

from __future__ import annotations

import shutil
import subprocess
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.postgres_server import beside_server, binary, server_user

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = on
hot_standby = on
wal_keep_size = '64MB'
max_connections = 100
shared_buffers = '16MB'
synchronous_standby_names = '{standbys}'
"""


class ServerPair:
    """A primary and a standby, each in a folder of its own; a context that ends both."""

    def __init__(self, *, is_synchronous: bool = True) -> None:
        self._standbys = "*" if is_synchronous else ""
        self._names = count(1)
        self._folders: list[Path] = []
        self.primary = self._folder()
        _run(
            "initdb",
            "-D",
            self.primary / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        self._configure(self.primary)
        _start(self.primary)
        self.standby = self._folder()
        self._follow(self.standby)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            _stop(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Return the URL that leads to whichever is the primary, of those there will ever be."""
        hosts = ",".join(str(each) for each in (self.primary, self.standby))
        return (
            f"postgresql:///{database}?user=postgres&host={quote(hosts, safe='/,')}"
            "&target_session_attrs=read-write"
        )

    def only_primary(self, database: str) -> str:
        """Return the URL of the primary alone."""
        return f"postgresql:///{database}?user=postgres&host={self.primary}"

    def fail_over(self) -> None:
        """Lose the primary at once; the standby takes its place, and a new one follows it."""
        lost = self.primary
        _stop(lost)
        _run("pg_ctl", "-D", self.standby / "data", "-w", "promote")
        self.primary, self.standby = self.standby, lost
        shutil.rmtree(lost / "data")
        self._follow(lost)

    def _folder(self) -> Path:
        folder = beside_server(f"pair-{next(self._names)}")
        self._folders.append(folder)
        return folder

    def _configure(self, folder: Path) -> None:
        text = SETTINGS.format(folder=folder, standbys=self._standbys)
        (folder / "data" / "postgresql.auto.conf").write_text(text)

    def _follow(self, folder: Path) -> None:
        """Make a standby of the primary in a folder."""
        _run(
            "pg_basebackup", "-h", self.primary, "-U", "postgres", "-c", "fast", "--no-sync",
            "-D", folder / "data",
        )  # fmt: skip
        self._configure(folder)
        with (folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={self.primary} user=postgres'\n")
        (folder / "data" / "standby.signal").touch()
        _start(folder)


def _run(program: str, *words: str | Path) -> None:
    subprocess.run(
        [binary(program), *map(str, words)],
        check=True, user=server_user(), cwd="/", stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _start(folder: Path) -> None:
    _run("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "start")


def _stop(folder: Path) -> None:
    subprocess.run(
        [binary("pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop"],
        check=False, user=server_user(), cwd="/", stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
