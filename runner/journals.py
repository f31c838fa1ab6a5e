"""Opens journals and this host's registry of them: the only place that chooses a database.

Separate from `composition`, so that commands that only read a journal do not load gateway libraries.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.filesystem import default_folder, without_link
from runner.journal.gateway_registry import FileGatewayEntry, state_folder
from runner.journal.sqlite.access import SqliteJournal
from runner.ports.journal_access import (
    Adopted,
    Durability,
    GatewayEntry,
    Imported,
    JournalAccess,
    ServerCheck,
)

if TYPE_CHECKING:  # of a database alone
    from runner.ports.fleet import Fleet, FleetWorker


def _postgres(location: JournalLocation) -> JournalAccess:
    """Return a journal in PostgreSQL, whose client is loaded here alone: few installations have it.

    Raises `UsageError` where it is not installed.
    """
    try:
        from runner.journal.postgres.access import PostgresJournal  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("psycopg"):
            raise
        raise UsageError(
            f"the journal {location} needs what this installation lacks;"
            " install it with: pip install 'interaction-runner[fleet]'"
        ) from error
    return PostgresJournal(location)


def create_journal(location: JournalLocation, durability: Durability) -> None:
    """Make a journal in a database. Raises `UsageError`, `StorageError`."""
    _database(location)
    from runner.journal.postgres.administration import create  # noqa: PLC0415

    create(location, durability)


def import_journal(file: Path, location: JournalLocation) -> Imported:
    """Bring a file's history into a lane of a database. Raises `UsageError`, `StorageError`."""
    _database(location)
    from runner.journal.postgres.connection import JournalUrl  # noqa: PLC0415
    from runner.journal.postgres.lane_import import import_history  # noqa: PLC0415
    from runner.journal.sqlite.export import SqliteExport  # noqa: PLC0415

    with SqliteExport(without_link(file)) as export:
        return import_history(JournalUrl.parse(location.text), export)


def adopt_journal(
    location: JournalLocation, *, reason: str, by: str, timeout_s: float
) -> Sequence[Adopted]:
    """Accept a restored or failed-over database. Raises `UsageError`, `Locked`, `StorageError`."""
    _database(location)
    from runner.journal.postgres.adoption import adopt  # noqa: PLC0415

    return adopt(location, reason=reason, by=by, timeout_s=timeout_s)


def fleet_at(location: JournalLocation) -> Fleet:
    """Return the submissions of a database's journal. Raises `UsageError`."""
    _database(location)
    from runner.journal.postgres.fleet import PostgresFleet  # noqa: PLC0415

    return PostgresFleet(location)


def fleet_worker_at(location: JournalLocation, name: str, *, ttl_s: float) -> FleetWorker:
    """Return the same for a worker, whose leases last for `ttl_s`. Raises `UsageError`."""
    _database(location)
    from runner.journal.postgres.fleet import PostgresFleetWorker  # noqa: PLC0415

    return PostgresFleetWorker(location, name, ttl_s=ttl_s)


def process_name() -> str:
    """Return who this process is, as owners of lanes are shown."""
    from runner.journal.postgres.owner import holder_of, this_process  # noqa: PLC0415

    return str(holder_of(this_process()))


def check_journal(location: JournalLocation) -> Sequence[ServerCheck]:
    """Return what a database's journal relies on. Raises `UsageError`, `StorageError`."""
    _database(location)
    from runner.journal.postgres.administration import check  # noqa: PLC0415

    return check(location)


def _database(location: JournalLocation) -> None:
    """Refuse what is not the URL of a database that can be used."""
    if not _SCHEME.match(location.text):
        raise UsageError(
            f"{location} is a file, which the first apply makes, and which one host uses; name a"
            " database with postgresql://"
        )
    journal_at(location)


DATABASES: Mapping[str, Callable[[JournalLocation], JournalAccess]] = {
    "": SqliteJournal,
    "postgresql": _postgres,
}
"""The class for each scheme of a journal's URL; empty: a file's path."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")

_MISSPELT = re.compile(r"[\s\"']*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""Begins what was meant as a URL: in capitals, behind a blank or a quotation mark, with one slash."""


def journal_at(location: JournalLocation) -> JournalAccess:
    """Return the journal at a location, without opening or creating it.

    Raises `UsageError` for a URL of an unknown database, or a misspelt one. As a file's path it would be a new journal
    without history.
    """
    if not location.text.strip():
        raise UsageError("the journal's name is empty; name a file or a database with --journal")
    found = _SCHEME.match(location.text)
    if not found and _MISSPELT.match(location.text):
        raise UsageError(
            f"the journal {location} is no URL that can be read;"
            " name a file with --journal, or a database with postgresql://, in small letters"
        )
    scheme = found[1] if found else ""
    if scheme not in DATABASES:
        raise UsageError(
            f"the journal {location} is a URL of an unknown database ({scheme});"
            " name a file with --journal, or a database with postgresql://"
        )
    return DATABASES[scheme](location)


def beside(location: JournalLocation) -> Path:
    """Return the path whose name begins those of files that lie beside a journal.

    Files of a database's journal lie in this host's state folder, or else in the current one.
    """
    if not _SCHEME.match(location.text):
        return Path(location.text)
    digest = hashlib.sha256(journal_at(location).real_address.encode()).hexdigest()
    folder = state_folder(os.environ) or Path()
    return folder / "databases" / digest[:16]


def resolve_location(location: JournalLocation) -> JournalLocation:
    """Return a location with its symbolic link followed, if it is one."""
    return journal_at(location).location


def default_journal(manifest: Path | None, environment: str) -> JournalLocation:
    """Return the default location of an environment's journal: beside the manifest's real file.

    Without a manifest it is in the current folder.
    """
    return JournalLocation(str(without_link(default_folder(manifest) / f"{environment}.db")))


def only_journal() -> JournalLocation:
    """Return the only journal in the current folder.

    Raises `UsageError` if there is none, or several.
    """
    folder = default_folder(None)
    found = sorted(folder.glob("*.db"))
    if len(found) == 1:
        return JournalLocation(str(without_link(found[0])))
    if not found:
        raise UsageError(
            f"there is no journal in {folder.absolute()}; name it with --journal FILE,"
            " or the manifest that it belongs to with --manifest FILE"
        )
    names = ", ".join(path.stem for path in found)
    raise UsageError(f"{folder} holds several journals; choose with --env, of: {names}")


def journals_beside(manifest: Path | None) -> list[JournalLocation]:
    """Return every journal beside a manifest, or in the current folder's place for them."""
    found = sorted(default_folder(manifest).glob("*.db"))
    return [JournalLocation(str(without_link(path))) for path in found]


def every_journal(location: JournalLocation | None, manifest: Path | None) -> list[JournalLocation]:
    """Return every lane of a database that is named, or the file that is; else those beside a manifest.

    Raises `UsageError`, `StorageError`.
    """
    return journals_beside(manifest) if location is None else lanes_at(location)


def place_of_journals(location: JournalLocation | None, manifest: Path | None) -> str:
    """Return what `every_journal` looks through: what is named, or a folder."""
    return str(default_folder(manifest).absolute()) if location is None else str(location)


def lanes_at(location: JournalLocation) -> list[JournalLocation]:
    """Return every lane of a database, or the file that is named.

    Raises `UsageError`, `StorageError`.
    """
    if not _SCHEME.match(location.text):
        return [location]
    _database(location)
    from runner.journal.postgres.access import lanes_of  # noqa: PLC0415

    return lanes_of(location)


def gateway_entry(
    variables: Mapping[str, str], *, origin: str, account: str
) -> GatewayEntry | None:
    """Return this host's entry for a gateway and account (a digest); None: no state folder."""
    folder = state_folder(variables)
    return None if folder is None else FileGatewayEntry(folder, origin, account)
