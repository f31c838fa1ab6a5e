"""Opens journals and this host's registry of them: the only place that chooses a database.

Separate from `composition`, so that commands that only read a journal do not load gateway libraries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.filesystem import default_folder, without_link
from runner.journal.gateway_registry import FileGatewayEntry, state_folder
from runner.journal.sqlite.access import SqliteJournal
from runner.ports.journal_access import GatewayEntry, JournalAccess

DATABASES: Mapping[str, Callable[[JournalLocation], JournalAccess]] = {"": SqliteJournal}
"""The class for each scheme of a journal's URL; empty: a file's path."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")


def journal_at(location: JournalLocation) -> JournalAccess:
    """Return the journal at a location, without opening or creating it.

    Raises `UsageError` for a URL of an unknown database. As a file's path it would be a new journal
    without history.
    """
    found = _SCHEME.match(location.text)
    scheme = found[1] if found else ""
    if scheme not in DATABASES:
        raise UsageError(
            f"the journal {location} is a URL of an unknown database ({scheme});"
            " name a file with --journal"
        )
    return DATABASES[scheme](location)


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


def gateway_entry(
    variables: Mapping[str, str], *, origin: str, account: str
) -> GatewayEntry | None:
    """Return this host's entry for a gateway and account (a digest); None: no state folder."""
    folder = state_folder(variables)
    return None if folder is None else FileGatewayEntry(folder, origin, account)
