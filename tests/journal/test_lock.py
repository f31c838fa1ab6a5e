"""One writer per journal: the lock names its holder, dies with it, and its file stays beside the journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.errors import Locked, StorageError
from runner.journal.lock import POLL_S, JournalLock

HOLDER = """
import sys
from pathlib import Path
from runner.journal.lock import JournalLock
lock = JournalLock(Path(sys.argv[1]))
lock.acquire(0)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.fixture
def holder(journal: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(journal)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def lock_file(journal: Path) -> Path:
    return journal.with_name("production.db.lock")


def test_a_second_process_is_told_who_holds_it_and_what_to_do(
    journal: Path, holder: subprocess.Popen[str]
):
    with pytest.raises(Locked, match=rf"process {holder.pid} on .*, since 20.*--lock-timeout"):
        JournalLock(journal).acquire(0)


def test_it_dies_with_its_owner_however_that_ends(journal: Path, holder: subprocess.Popen[str]):
    holder.kill()
    holder.wait()
    JournalLock(journal).acquire(0)
    assert json.loads(lock_file(journal).read_text())["pid"] == os.getpid()


def test_one_waits_as_long_as_told_and_no_longer(journal: Path, holder: subprocess.Popen[str]):
    slept: list[float] = []
    with pytest.raises(Locked, match=str(holder.pid)):
        JournalLock(journal).acquire(1, slept.append)
    assert sum(slept) == pytest.approx(1)


def test_one_who_waits_gets_it_when_the_holder_ends(journal: Path, holder: subprocess.Popen[str]):
    def sleep(seconds: float) -> None:
        assert seconds == POLL_S
        holder.kill()
        holder.wait()

    JournalLock(journal).acquire(600, sleep)


def test_its_file_is_private_and_stays_beside_the_journal(journal: Path):
    journal.touch()
    with JournalLock(journal) as lock:
        lock.acquire(0)
    first = lock_file(journal).stat()
    with JournalLock(journal) as lock:
        lock.acquire(0)
    assert lock_file(journal).stat().st_ino == first.st_ino
    assert first.st_mode & 0o777 == 0o600


def test_its_file_goes_where_no_journal_was_made_and_who_waited_locks_the_new_one(journal: Path):
    first, second = JournalLock(journal), JournalLock(journal)
    first.acquire(0)
    assert second.acquire(9, lambda _: first.release()) == POLL_S
    with JournalLock(journal) as third, pytest.raises(Locked):
        third.acquire(0)
    second.release()
    assert not lock_file(journal).exists()


def test_giving_it_up_twice_is_fine(journal: Path):
    lock = JournalLock(journal)
    lock.acquire(0)
    lock.release()
    lock.release()
    JournalLock(journal).acquire(0)


@pytest.mark.parametrize("note", ["", "[]", "{}", "nonsense", "\x00\xff"])
def test_a_holder_that_left_no_note_is_told_as_such(journal: Path, note: str):
    held = JournalLock(journal)
    held.acquire(0)
    lock_file(journal).write_text(note)
    with pytest.raises(Locked, match="an unknown process"):
        JournalLock(journal).acquire(0)


def test_a_link_in_its_place_is_refused(journal: Path, tmp_path: Path):
    (tmp_path / "elsewhere").write_text("precious")
    lock_file(journal).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="cannot be opened"):
        JournalLock(journal).acquire(0)
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_a_folder_that_is_missing_is_made_private(tmp_path: Path):
    JournalLock(tmp_path / "none" / "x.db").acquire(0)
    assert (tmp_path / "none").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be opened \(.*make its folder writable"):
        JournalLock(tmp_path / "file" / "x.db").acquire(0)
