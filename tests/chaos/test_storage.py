"""Disks that are full, break, or cannot be written: 74 before the next frame, and nobody twice."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import GatewayProcess, Workspace, names
from tests.chaos.kills import finish
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge
from tests.chaos.traced import injecting, require_strace

Open = Callable[..., tuple[GatewayProcess, Workspace]]
JOURNAL = Path(".runner") / "foreign.db"
INJECTED = [
    ("pwrite64", "error=ENOSPC", 40),
    ("pwrite64", "error=ENOSPC", 60),
    ("pwrite64", "error=ENOSPC", 90),
    ("fdatasync", "error=EIO", 10),
]
if LARGE:
    INJECTED += [("pwrite64", "error=ENOSPC", n) for n in range(1, 300, 7)]
    INJECTED += [("fdatasync", "error=EIO", n) for n in range(1, 40)]
PAGE = 4096
DAMAGED = 40 if LARGE else 3


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system, where this user may."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; the injected ENOSPC stands in for it")
    folder.mkdir()
    options = f"size={size},mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here; the injected ENOSPC stands in for it")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def unknown_frames(gateway: GatewayProcess, journal: Path) -> set[str]:
    """Return the ids that reached the gateway and that the journal does not know."""
    arrived = {note["id"] for note in gateway.of("arrived")}
    if not journal.exists():
        return arrived
    with closing(sqlite3.connect(journal)) as connection:
        known = connection.execute("SELECT message_id FROM deliveries").fetchall()
    return arrived - {message_id for (message_id,) in known}


def test_a_disk_that_fills_up_ends_the_run_before_the_next_frame(
    open_workspace: Open, tmp_path: Path, check: Callable[[Tally], None]
):
    """74, naming the journal; what left is in it; with space again all is done, each once."""
    gateway, workspace = open_workspace(promise="dedupes")
    expected = names(1_500)
    path = workspace.write(expected, promise="dedupes", limits={"in_flight": 16})
    disk = tmp_path / "disk"
    with small_disk(disk, "2m"):
        journal = disk / "journal.db"
        ended = workspace.apply(path, "--journal", str(journal))
        assert ended.code == 74, ended
        assert str(journal) in ended.out + ended.err
        assert 0 < len(gateway.of("arrived")) < len(expected)
        assert not unknown_frames(gateway, journal)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        ended = workspace.apply(path, "--journal", str(journal))
        assert ended.code == 0, ended
    check(judge("disk full (2 MB)", 1, gateway, workspace, expected))


def break_down(
    folder: Path, zygote: Zygote, call: str, error: str, place: int
) -> tuple[Tally, int, str, set[str]]:
    """Let every `call` from the n-th on fail, then mend the disk and finish."""
    expected = names(60)
    with GatewayProcess(folder, zygote, Settings(promise="dedupes")) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        path = workspace.write(expected, promise="dedupes", limits={"in_flight": 8})
        ended = workspace.apply(path, before=injecting(call, error, place, until_end=True))
        unknown = unknown_frames(gateway, folder / JOURNAL)
        finish(workspace, path, "dedupes")
        tally = judge(f"{error[6:]} from the {place}th {call} on", 1, gateway, workspace, expected)
        return tally, ended.code, ended.out + ended.err, unknown


@pytest.fixture(scope="module")
def broken(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, int], Future[tuple[Tally, int, str, set[str]]]]:
    """Start all of them side by side."""
    require_strace()
    return {
        each: crew(break_down, tmp_path_factory.mktemp("broken"), zygote, *each)
        for each in INJECTED
    }


@pytest.mark.parametrize("place", INJECTED)
def test_a_disk_that_fails_at_any_place_ends_the_run_with_74(
    place: tuple[str, str, int],
    broken: dict[tuple[str, str, int], Future[tuple[Tally, int, str, set[str]]]],
    check: Callable[[Tally], None],
):
    """A failed write, a failed sync: nothing left without its intent, and nobody moves twice.

    The file that could not be written is named: the journal, or where rows wait for their plan.
    """
    tally, code, told, unknown = broken[place].result()
    assert code == 74, told
    assert "foreign.db" in told or "staging.db" in told
    assert not unknown
    check(tally)
    assert tally.moved == tally.transfers


def test_a_damaged_journal_is_refused_or_sound(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """Pages overwritten anywhere: 74, or the truth; never a bug, never a second move."""
    gateway, workspace = open_workspace(promise="dedupes")
    expected = names(100)
    path = workspace.write(expected, promise="dedupes")
    assert workspace.apply(path).code == 0
    journal = workspace.folder / JOURNAL
    sound = journal.read_bytes()
    chance = random.Random(3)
    pages = len(sound) // PAGE
    codes = []
    for page in [0, *chance.sample(range(1, pages), min(DAMAGED, pages - 1))]:
        _damage(journal, sound, page, chance)
        ended = workspace.apply(path)
        assert ended.code in {0, 74}, (page, ended)
        if ended.code == 74:
            assert "foreign.db" in ended.out + ended.err, ended
        codes.append(ended.code)
    assert codes[0] == 74
    _damage(journal, sound, None, chance)
    assert workspace.apply(path, "--new-history", "--limit", "0").code == 0
    check(judge("journal damaged", len(codes), gateway, workspace, expected))


def _damage(journal: Path, sound: bytes, page: int | None, chance: random.Random) -> None:
    """Put the sound journal back, with one page of noise where one is named."""
    for rest in journal.parent.glob("foreign.db-*"):
        rest.unlink()
    content = bytearray(sound)
    if page is not None:
        content[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
    journal.write_bytes(content)


@pytest.mark.parametrize("size", [0, 100, 5_000])
def test_a_journal_cut_short_is_refused(open_workspace: Open, size: int):
    gateway, workspace = open_workspace()
    path = workspace.write(names(20))
    assert workspace.apply(path).code == 0
    journal = workspace.folder / JOURNAL
    journal.write_bytes(journal.read_bytes()[:size])
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert "foreign.db" in refused.out + refused.err
    assert gateway.counts["arrived"] == 20


def test_a_journal_that_cannot_be_made_is_told(open_workspace: Open):
    gateway, workspace = open_workspace()
    (workspace.folder / "file").write_text("no folder", "utf-8")
    refused = workspace.apply(
        workspace.write(names(3)), "--journal", str(workspace.folder / "file" / "j.db")
    )
    assert refused.code == 74, refused
    assert str(workspace.folder / "file") in refused.out + refused.err
    assert not gateway.counts["arrived"]


def test_a_report_folder_that_cannot_be_made_stops_the_run_before_it_sends(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """What it saw of the journal must be left there first; with a folder again all is done."""
    gateway, workspace = open_workspace()
    expected = names(20)
    path = workspace.write(expected)
    reports = workspace.folder / "reports"
    reports.write_text("no folder", "utf-8")
    refused = workspace.apply(path)
    assert refused.code == 74, refused
    assert str(reports.name) in refused.out + refused.err
    assert not gateway.counts["arrived"]
    reports.unlink()
    assert workspace.apply(path).code == 0
    check(judge("report folder unwritable at the start", 1, gateway, workspace, expected))


def test_a_report_folder_lost_on_the_way_costs_the_report_alone(
    open_workspace: Open, check: Callable[[Tally], None]
):
    """74, naming the folder; the journal is complete, and the next run finds nothing to do."""
    gateway, workspace = open_workspace()
    expected = names(80)
    path = workspace.write(expected, limits={"rate": "80/s"})
    reports = workspace.folder / "reports"
    with workspace.started(path) as running:
        assert gateway.wait_for(lambda: gateway.counts["arrived"] > 0, running=running)
        shutil.rmtree(reports)
        reports.write_text("no folder", "utf-8")
        ended = running.ended()
    assert ended.code == 74, ended
    assert "reports" in ended.out + ended.err
    assert not unknown_frames(gateway, workspace.folder / JOURNAL)
    reports.unlink()
    assert workspace.apply(path).code == 0
    assert gateway.counts["arrived"] == 80
    check(judge("report folder lost on the way", 1, gateway, workspace, expected))
