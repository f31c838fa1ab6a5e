"""A journal that belongs to another account is not called damaged."""

from __future__ import annotations

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.journal.sqlite.access import SqliteJournal
from tests.journal.builders import begun, located, manifest_rows, opened

NOBODY = 65534


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can act as another account"
)


def test_who_may_not_enter_the_folder_is_not_told_that_there_is_no_journal(tmp_path: Path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    opened(folder / "journal.db").close()

    def attempt() -> None:
        ctypes.CDLL(None).setfsuid(NOBODY)
        with pytest.raises(PermissionError):
            SqliteJournal(located(folder / "journal.db")).exists()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(attempt).result()


def test_who_may_read_the_file_alone_is_told_that_it_is_a_matter_of_rights(
    tmp_path: Path,
):
    journal = tmp_path / "journal.db"
    store = opened(journal)
    begun(store, manifest_rows(1))
    store.close()  # so that a reader has to make the files beside it
    for each in (*journal.parents[:-2], *journal.parent.iterdir()):
        each.chmod(each.stat().st_mode | 0o055)

    def attempt() -> str:
        ctypes.CDLL(None).setfsuid(NOBODY)  # of this thread alone, which ends with the pool
        with pytest.raises(StorageError) as caught, SqliteJournal(located(journal)).open_history():
            pass
        return str(caught.value)

    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(attempt).result()
    assert "is another account's" in said
    assert "use the account of its runs, or root" in said
