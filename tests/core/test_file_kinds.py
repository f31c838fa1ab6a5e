"""What a path leads to that is no regular file."""

from __future__ import annotations

import stat

import pytest

from runner.core.file_kinds import other_kind


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (stat.S_IFREG, None),
        (stat.S_IFDIR, "a folder"),
        (stat.S_IFIFO, "a named pipe"),
        (stat.S_IFSOCK, "a socket"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
    ],
)
def test_what_is_no_regular_file_has_a_name(kind: int, named: str | None):
    assert other_kind(kind | 0o600) == named
