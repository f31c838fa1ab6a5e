"""A journal in a file, from outside: whether it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.core.errors import StorageError, UsageError
from runner.journal.sqlite.access import SqliteJournal
from tests.journal.builders import located


class MadeMeanwhile(type(Path())):  # type: ignore[misc]  # the path of this system
    """A path of nothing, until one has looked: another process makes the file then."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        try:
            found: os.stat_result = super().stat(follow_symlinks=follow_symlinks)
        except FileNotFoundError:
            Path(self).write_bytes(b"")
            raise
        return found


def test_a_journal_that_is_made_while_one_looks_is_not_there_yet(tmp_path: Path):
    journal = SqliteJournal(located(tmp_path / "j.db"))
    journal.path = MadeMeanwhile(tmp_path / "j.db")
    with pytest.raises(UsageError, match="there is no journal"), journal.open_history():
        pass
    assert (tmp_path / "j.db").exists()


def test_a_folder_is_no_journal(tmp_path: Path):
    with (
        pytest.raises(StorageError, match="is not a file; name another with --journal"),
        SqliteJournal(located(tmp_path)).open_history(),
    ):
        pass


def test_a_file_in_the_place_of_a_folder_has_no_journal(tmp_path: Path):
    (tmp_path / "file").write_text("")
    journal = SqliteJournal(located(tmp_path / "file" / "j.db"))
    with pytest.raises(UsageError, match="there is no journal"), journal.open_history():
        pass


def test_what_cannot_be_looked_at_does_not_count_as_a_journal_that_is_not_there(tmp_path: Path):
    """Its plan would say that nobody was moved yet."""
    (tmp_path / "a.db").symlink_to("b.db")
    (tmp_path / "b.db").symlink_to("a.db")
    with pytest.raises(OSError, match="symbolic links"):
        SqliteJournal(located(tmp_path / "a.db")).exists()
    assert not SqliteJournal(located(tmp_path / "c.db")).exists()
