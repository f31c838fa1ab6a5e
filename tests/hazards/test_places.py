"""Where a run's report is to lie: what is wrong there is seen before anybody is moved."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE_S, Ended, Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway

NOBODY = 65_534


def refused(gateway: Gateway, harness: Harness, *options: str) -> Ended:
    """Return a run that found its place unfit and moved nobody."""
    ended = harness.run("apply", harness.write(manifest(gateway, [transfer()])), *options)
    assert ended.code == 74, ended
    assert gateway.frames == []
    assert "--report-dir" in ended.err
    return ended


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_else_in_the_place_of_latest(gateway: Gateway, harness: Harness, kind: str):
    latest = harness.folder / "reports" / "batch" / "latest"
    latest.parent.mkdir(parents=True)
    latest.mkdir() if kind == "folder" else latest.touch()
    ended = refused(gateway, harness)
    assert f"latest is a {kind}" in ended.err
    assert "move it away" in ended.err


def test_a_report_folder_that_cannot_be_written(gateway: Gateway, harness: Harness):
    (harness.folder / "file").touch()
    refused(gateway, harness, "--report-dir", "file")
    refused(gateway, harness, "--report-dir", "/proc/self/reports")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
@pytest.mark.parametrize("below", ["", "batch"])
def test_another_accounts_report_folder(gateway: Gateway, harness: Harness, below: str):
    folder = harness.folder / "reports" / below
    folder.mkdir(parents=True)
    os.chown(folder, NOBODY, NOBODY)
    ended = refused(gateway, harness)
    assert "belongs to another account" in ended.err
    assert str(NOBODY) in ended.err


def test_a_folder_that_everybody_may_write_is_warned_of(gateway: Gateway, harness: Harness):
    folder = harness.folder / "reports"
    folder.mkdir()
    folder.chmod(0o777)
    applied = harness.apply(manifest(gateway, [transfer()]))
    assert applied.code == 0, applied.ended
    assert "every account of this machine may change the reports" in applied.ended.err


def mounted(folder: Path, size: str, *arguments: str | Path) -> list[str]:
    """Return the command line that runs something with a small disk mounted on a folder."""
    script = f'mount -t tmpfs -o size={size} small "$0" && "$@"'
    return ["unshare", "-m", "sh", "-c", script, str(folder), *map(str, arguments)]


def can_mount() -> bool:
    made = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "x", "/mnt"], check=False, capture_output=True
    )
    return made.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this account may not mount")
@pytest.mark.parametrize("small", ["reports", "reports/batch"])
def test_a_full_disk_under_the_report(gateway: Gateway, harness: Harness, small: str):
    folder = harness.folder / small
    folder.mkdir(parents=True)
    path = harness.write(manifest(gateway, [transfer()]))
    ended = subprocess.run(
        mounted(folder, "600k", *command("apply", path)),
        cwd=harness.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 74, ended
    assert gateway.frames == []
    assert "MB are free" in ended.stderr


def test_a_report_that_may_not_grow_is_seen_before(gateway: Gateway, harness: Harness):
    """A quota, or `ulimit -f`: the disk has room, and this account may not take it."""
    path = harness.write(manifest(gateway, [transfer()]))
    ended = subprocess.run(
        ["sh", "-c", 'ulimit -f 1024; exec "$@"', "sh", *command("apply", path)],
        cwd=harness.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 74, ended
    assert gateway.frames == []
    assert "file too large" in ended.stderr
