"""Finds out which accounts act: the process's own, and the one that logged in before a sudo."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path

from runner.core.approval.decision import Author, bind_author

_UNSET = 0xFFFF_FFFF


def acting_accounts() -> tuple[str, ...]:
    """Return the names of the accounts that this process acts for, by the kernel's word.

    No variable of the environment has a say: anyone could set it.
    """
    uids = [os.getuid(), _login_uid()]
    return tuple(dict.fromkeys(_name(uid) for uid in uids if uid is not None))


def author_of(named: Sequence[str], status: os.stat_result) -> Author:
    """Return who made a file that names its author, by what the kernel says of its bytes."""
    others_write = bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return bind_author(named, _name(status.st_uid), others_write=others_write)


def _login_uid() -> int | None:
    try:
        uid = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):  # another system
        return None
    return None if uid == _UNSET else uid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
