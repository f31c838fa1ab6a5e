"""PostgreSQL under Patroni and etcd, whose leader is switched over and killed; by hand, not in CI.

    python -m tests.chaos.nemesis --kinds failover --patroni PROGRAMS

PROGRAMS is a folder with `patroni`, `patronictl` (`pip install 'patroni[etcd3]' 'psycopg[binary]'`) and `etcd`
(Debian's package etcd-server), which every user may read. As root all of it runs as PostgreSQL's user.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, Self
from urllib.parse import quote

import yaml

from tests.postgres_server import beside_server, binary, connect, server_user

SCOPE = "fleet"
KINDS = ("switchover", "server killed", "host killed")
TTL_S = 20  # the least that Patroni allows
PATIENCE_S = 600.0
PORT = 23790


class PatroniCluster:
    """Three members, one of them the synchronous standby at a time; a context that ends all."""

    def __init__(self, programs: Path, chance: random.Random) -> None:
        self._programs = programs
        self._first = chance.randrange(len(KINDS))
        self._folder = beside_server("patroni")
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.done: list[str] = []
        """What was done to the leaders, in order."""
        self._start_etcd()
        self._names = ("a", "b", "c")
        self._ports = {name: PORT + 10 + 2 * number for number, name in enumerate(self._names)}
        for name in self._names:
            self._configure(name, self._ports[name])
            self._start(name)
        self._wait_for_standby()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stderr.write(f"the leaders: {', '.join(self.done)}\n")
        for process in self._processes.values():
            process.terminate()
        for name, process in self._processes.items():
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            _kill(self._folder / name / "data")
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Return the URL that leads to whichever member leads."""
        hosts = ",".join(str(self._folder / name) for name in self._names)
        ports = ",".join(map(str, self._ports.values()))
        return (
            f"postgresql:///{database}?user=postgres&host={quote(hosts, safe='/,')}&port={ports}"
            "&target_session_attrs=read-write"
        )

    def only_primary(self, database: str) -> str:
        """Return the same URL: who leads is found."""
        return self.url(database)

    def fail_over(self) -> None:
        """Switch over, or lose the leader's server or its whole host; wait for another leader."""
        leader = self._leader()
        kind = KINDS[(self._first + len(self.done)) % len(KINDS)]
        self.done.append(kind)
        match kind:
            case "switchover":
                self._control("switchover", "--force", SCOPE, "--leader", leader)
            case "server killed":
                _kill(self._folder / leader / "data")
            case _:
                self._processes[leader].kill()
                self._processes[leader].wait()
                _kill(self._folder / leader / "data")
        _until(lambda: self._leader() not in {"", leader} or kind == "server killed")
        self._wait_until_writable()
        if self._processes[leader].poll() is not None:
            self._start(leader)
        self._wait_for_standby()

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 1}"
        words = [
            "etcd", "--data-dir", str(self._folder / "etcd"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ]  # fmt: skip
        self._processes["etcd"] = self._run(*words, log="etcd")

    def _configure(self, name: str, port: int) -> None:
        folder = self._folder / name
        folder.mkdir()
        logins = {"username": "postgres", "password": "of the rehearsal"}
        content = {
            "scope": SCOPE,
            "name": name,
            "restapi": {
                "listen": f"127.0.0.1:{port + 1}",
                "connect_address": f"127.0.0.1:{port + 1}",
            },
            "etcd3": {"host": f"127.0.0.1:{PORT}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": 2,
                    "retry_timeout": 4,
                    "primary_start_timeout": 0,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "postgresql": {"parameters": {"fsync": "on", "shared_buffers": "16MB"}},
                },
                "initdb": [{"encoding": "UTF8"}, {"auth": "trust"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{port}",
                "connect_address": f"127.0.0.1:{port}",
                "data_dir": str(folder / "data"),
                "bin_dir": str(Path(binary("postgres")).parent),
                "pgpass": str(folder / "pgpass"),
                "authentication": {"superuser": logins, "replication": logins},
                "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust",
                           "host replication all 127.0.0.1/32 trust"],
                "parameters": {"unix_socket_directories": str(folder)},
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
            },
        }  # fmt: skip
        (folder / "patroni.yaml").write_text(yaml.safe_dump(content))
        for each in (folder, folder / "patroni.yaml"):
            if (user := server_user()) is not None:
                shutil.chown(each, user)

    def _start(self, name: str) -> None:
        config = str(self._folder / name / "patroni.yaml")
        self._processes[name] = self._run("patroni", config, log=name)

    def _run(self, program: str, *words: str, log: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{log}.log").open("ab") as stream:
            return subprocess.Popen(
                [str(self._programs / program), *words],
                stdout=stream, stderr=stream, user=server_user(), cwd=self._folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            )  # fmt: skip

    def _control(self, *words: str) -> str:
        config = str(self._folder / self._names[0] / "patroni.yaml")
        return subprocess.run(
            [str(self._programs / "patronictl"), "-c", config, *words],
            check=False, capture_output=True, text=True, user=server_user(), cwd=self._folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
        ).stdout  # fmt: skip

    def _members(self) -> list[dict[str, Any]]:
        for port in self._ports.values():
            with suppress(OSError, ValueError, KeyError):
                url = f"http://127.0.0.1:{port + 1}/cluster"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return list(json.load(answer)["members"])
        return []

    def _leader(self) -> str:
        return next((m["name"] for m in self._members() if m["role"] == "leader"), "")

    def _wait_for_standby(self) -> None:
        """Wait until a standby is synchronous: a leader that is lost before is not followed."""
        _until(lambda: any(m["role"] == "sync_standby" for m in self._members()))
        self._wait_until_writable()

    def _wait_until_writable(self) -> None:
        def answers() -> bool:
            with suppress(Exception), connect(self.url("postgres")):
                return True
            return False

        _until(answers)


def _kill(data: Path) -> None:
    """Kill a server at once, as its host's end does."""
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def _until(is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_there():
        assert time.monotonic() < end, "the cluster did not recover"
        Event().wait(0.2)
