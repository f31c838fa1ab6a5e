"""A worker's configuration: its journal, its places, and what submissions may name."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import parse_duration
from runner.core.urls import is_loopback
from runner.manifest.own_sections import OwnSections, read_own_sections

KEYS = ("worker", "journal", "report_dir", "state_dir", "lease", "at_once", "health")
"""The keys beside `environments`, `gateways` and `callbacks`, which are as in a manifest."""

TTL_S = 15.0
LEAST_TTL_S, MOST_TTL_S = 1.0, 300.0
AT_ONCE, MOST_AT_ONCE = 8, 100

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@frozen
class WorkerConfig:
    """A worker's configuration, checked."""

    name: str
    journal: JournalLocation
    report_dir: Path
    state_dir: Path | None  # None: the user's
    ttl_s: float
    at_once: int  # submissions
    health: tuple[str, int] | None
    own: OwnSections


def read_config(path: Path, journal: JournalLocation | None) -> WorkerConfig:
    """Read a worker's configuration; `journal` takes the place of the one that it names.

    Raises `ManifestInvalid` for its sections, `UsageError` for its other keys.
    """
    values, own = read_own_sections(path, KEYS)
    if not own.environments:
        raise UsageError(f"{path}: there are no `environments`, so nothing could be carried")
    where = journal or _journal(path, values.get("journal"))
    name = values.get("worker", socket.gethostname())
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"{path}: `worker` must be a name of letters, digits, `.`, `_` and `-`")
    return WorkerConfig(
        name=name,
        journal=where,
        report_dir=_folder(path, values, "report_dir") or path.parent / "reports",
        state_dir=_folder(path, values, "state_dir"),
        ttl_s=_lease(path, values.get("lease")),
        at_once=_at_once(path, values.get("at_once", AT_ONCE)),
        health=_health(path, values.get("health")),
        own=own,
    )


def _journal(path: Path, value: Any) -> JournalLocation:
    named = value if value is not None else os.environ.get("RUNNER_JOURNAL")
    if not isinstance(named, str):
        raise UsageError(f"{path}: write `journal: postgresql://HOST/DATABASE`, or give --journal")
    return JournalLocation(named)


def _folder(path: Path, values: Any, key: str) -> Path | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise UsageError(f"{path}: `{key}` must be the path of a folder")
    return (path.parent / value).absolute()


def _lease(path: Path, value: Any) -> float:
    if value is None:
        return TTL_S
    try:
        ttl_s = parse_duration(str(value))
    except ValueError as error:
        raise UsageError(f"{path}: `lease`: {error}") from error
    if not LEAST_TTL_S <= ttl_s <= MOST_TTL_S:
        raise UsageError(f"{path}: `lease` must be between {LEAST_TTL_S:g}s and {MOST_TTL_S:g}s")
    return ttl_s


def _at_once(path: Path, value: Any) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not 1 <= value <= MOST_AT_ONCE:
        raise UsageError(f"{path}: `at_once` must be a number from 1 to {MOST_AT_ONCE}")
    return int(value)


def _health(path: Path, value: Any) -> tuple[str, int] | None:
    if value is None:
        return None
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not is_loopback(host) or port is None:
        raise UsageError(
            f"{path}: `health` must be an address of this machine alone, such as 127.0.0.1:9464;"
            " let a proxy with TLS publish it"
        )
    return host, port
