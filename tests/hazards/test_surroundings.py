"""What the system withholds: a clear error that names it, before anybody is moved."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.callbacks import SECRET, with_callback
from tests.e2e.harness import PATIENCE_S, Ended, Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.receiver import Receiver


def under(harness: Harness, before: str, *arguments: str | Path) -> Ended:
    """Run a command from a shell that did something before."""
    ended = subprocess.run(
        ["sh", "-c", f'{before} "$@"', "sh", *command(*arguments)],
        cwd=harness.folder,
        env=environment() | harness.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_sixteen_open_files_are_too_few(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer()]))
    ended = under(harness, "ulimit -n 16; exec", "apply", path)
    assert ended.code == 74, ended
    assert "ulimit -n" in ended.err
    assert gateway.frames == []


def test_a_low_soft_limit_is_raised(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer()]))
    ended = under(harness, "ulimit -S -n 16; exec", "apply", path)
    assert ended.code == 0, ended


def test_no_usable_folder_for_temporary_files(gateway: Gateway, harness: Harness):
    """Not one byte may be written anywhere: no folder passes Python's trial."""
    path = harness.write(manifest(gateway, [transfer()]))
    ended = under(harness, "ulimit -f 0; export TMPDIR=/nowhere; exec", "apply", path)
    assert ended.code == 74, ended
    assert "TMPDIR" in ended.err
    assert gateway.frames == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "gone.pem"),
        ("SSL_CERT_FILE", "batch.yaml"),
        ("SSL_CERT_FILE", "."),
        ("SSL_CERT_DIR", "gone"),
        ("SSL_CERT_DIR", "batch.yaml"),
    ],
)
def test_certificates_that_cannot_be_used(
    gateway: Gateway, harness: Harness, variable: str, value: str
):
    harness.env[variable] = value
    path = harness.write(manifest(gateway, [transfer()]))
    for ended in (harness.run("apply", path), harness.run("doctor", path)):
        assert ended.code == 74, ended
        assert variable in ended.err
        assert value in ended.err
    assert gateway.frames == []


def test_the_keys_of_sessions_are_written_nowhere(gateway: Gateway, harness: Harness):
    """By neither the client, nor the embedded gateway's web server."""
    harness.env |= {"SSLKEYLOGFILE": str(harness.folder / "keys.log"), "HOOK_SECRET": SECRET}
    with Receiver() as receiver:
        applied = harness.apply(with_callback(manifest(gateway, [transfer()]), receiver))
    assert applied.code == 0, applied.ended
    assert harness.run("init", "first").code == 0
    assert harness.run("apply", "first/manifest.yaml").code == 0
    assert not (harness.folder / "keys.log").exists()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS"])
def test_a_file_system_without_locks(gateway: Gateway, harness: Harness, error: str):
    path = harness.write(manifest(gateway, [transfer()]))
    trace = f"exec strace -f -o trace.txt -e trace=flock -e inject=flock:error={error}"
    ended = under(harness, trace, "apply", path)
    assert ended.code == 74, ended
    assert "the lock" in ended.err
    assert "--journal" in ended.err
    assert gateway.frames == []


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(50_000)),
    "noise behind the head": lambda path: path.write_bytes(
        path.read_bytes()[:100] + random.Random(2).randbytes(50_000)
    ),
    "a table is missing": lambda path: altered(path, "DROP TABLE events"),
    "no facts": lambda path: altered(path, "DELETE FROM meta"),
    "no state": lambda path: altered(path, "UPDATE transfers SET state = 'moved'"),
    "no record": lambda path: altered(path, "UPDATE runs SET record = '{'"),
    "bytes": lambda path: altered(path, "UPDATE transfers SET reason = x'ff', state = x'ff'"),
    "a folder": lambda path: instead(path, path.mkdir),
    "a pipe": lambda path: instead(path, lambda: os.mkfifo(path)),
}


def instead(path: Path, make: Callable[[], None]) -> None:
    path.unlink()
    make()


def altered(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal(gateway: Gateway, tmp_path: Path, damage: str):
    harness = Harness(tmp_path)  # the journal is the hazard, not how an interpreter starts
    one = transfer(key="one")
    path = harness.write(manifest(gateway, [one]))
    assert harness.run("apply", path).code == 0
    run = harness.newest_report().run["id"]
    journal = harness.folder / ".runner" / "foreign.db"
    DAMAGES[damage](journal)
    name = ("--journal", str(journal))
    ended = harness.run_together(
        ("apply", path),
        ("status", run, *name),
        ("report", run, *name, "--out", "-"),
        ("audit", "verify", run, *name),
    )
    for each in ended:
        assert each.code in {74, 2, 0, 1}, each
        assert each.code != 74 or "foreign.db" in each.err, each
    assert ended[0].code in ({0, 74} if damage in {"no record", "a table is missing"} else {74}), (
        ended[0]
    )
    assert len(gateway.frames) == 1


@pytest.mark.parametrize(("host", "is_warned"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_an_embedded_gateway_that_others_reach_in_the_clear_is_warned_of(
    harness: Harness, host: str, *, is_warned: bool
):
    with harness.started("simulate", "--host", host, "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("token_url: http://")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert ("plain HTTP on 0.0.0.0" in said) is is_warned
    assert ("--certificate" in said) is is_warned
