"""Turns names into ids, and selections into rows, by asking the gateway or by a plan that did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid
from runner.core.manifest.model import Manifest, QueueSelection
from runner.core.manifest.queue_selection import (
    SERVED_NO_MORE,
    Chosen,
    Waiting,
    address,
    choose,
    is_id,
    named_in,
)
from runner.core.number_text import counted
from runner.core.records.row_codec import ROW
from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.rows import TransferRow
from runner.ports import Directory
from runner.staging.rows import Staging


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: the ids of names, the rows of selections, and what those left out."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # by the destination as written
    rows: Sequence[TransferRow] = ()
    chosen: Sequence[tuple[QueueSelection, Chosen]] = ()

    @property
    def explanation(self) -> str:
        """What was found, in a line; empty where nothing had to be found."""
        parts = [_counts(selection, chosen) for selection, chosen in self.chosen]
        if self.addresses:
            parts.insert(0, f"{counted(len(self.addresses), 'name')} looked up")
        return "; ".join(parts)

    def put_into(self, staging: Staging) -> None:
        """Make the rows what was found, so that they can be planned."""
        staging.readdress(self.addresses)
        for row in self.rows:
            staging.add(row)
        staging.selections.clear()

    def to_json(self) -> dict[str, Any]:
        """Return the form that a plan file keeps; the counts of what was left out are not kept."""
        rows = [ROW.to_json(row) for row in self.rows]
        for row in rows:
            del row["key"]  # a selection's rows have none of their own
        return {"addresses": dict(self.addresses), "rows": rows}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Found:
        """Return what `to_json` wrote."""
        return cls(
            dict(kept["addresses"]),
            tuple(ROW.from_json({"key": row["interaction_id"], **row}) for row in kept["rows"]),
        )


NOTHING_FOUND = Found()
"""Where nothing had to be asked."""


def is_open(manifest: Manifest, staging: Staging) -> bool:
    """Tell whether the gateway has to be asked before the rows can be planned."""
    return bool(staging.selections) or bool(_names(manifest, staging))


def unknown_yet(manifest: Manifest, staging: Staging) -> str | None:
    """Return in words what a plan made offline cannot know; None: it knows all."""
    names = _names(manifest, staging)
    parts = []
    if staging.selections:
        parts.append(
            f"what {counted(len(staging.selections), 'selection')} will find is not known yet"
        )
    if names:
        parts.append(f"{counted(len(names), 'destination')} by name, whose id is not known yet")
    if not parts:
        return None
    return f"{'; '.join(parts)}: `plan --preflight` and `apply` ask the gateway"


def _names(manifest: Manifest, staging: Staging) -> list[str]:
    """Return the destinations by name; only where a gateway knows names, all else is an id."""
    if not manifest.environment.driver.can_select:
        return []
    return [uri for uri in staging.destinations() if named_in(uri)]


async def find(staging: Staging, directory: Directory, *, now: float) -> Found:
    """Ask for every name and selection of `staging`.

    Raises `ManifestInvalid` for names that no queue or user has, or several have, `GatewayError`.
    """
    finder = _Finder(directory)
    named = [(uri, source) for uri, source in staging.destinations().items() if named_in(uri)]
    named += [(each.destination_uri, each.source) for each in staging.selections]
    addresses = {uri: await finder.address_of(uri, source) for uri, source in dict(named).items()}
    queues = [await finder.id_of("queue", s.queue, s.source) for s in staging.selections]
    if finder.problems:
        raise ManifestInvalid(finder.problems)
    chosen: list[tuple[QueueSelection, Chosen]] = []
    rows: dict[str, TransferRow] = {}

    def is_listed(interaction_id: str) -> bool:
        return interaction_id in rows or staging.has_interaction(interaction_id)

    for selection, queue_id in zip(staging.selections, queues, strict=True):
        ask = directory.connected if selection.is_connected else directory.waiting
        took = choose(selection, await ask(queue_id), now=now, is_listed=is_listed)
        kept = [
            (one, at)
            for one in took.taken
            if (at := await _found_at(directory, selection, queue_id, one)) is not None
        ]
        if gone := len(took.taken) - len(kept):
            left_out = {**took.left_out, SERVED_NO_MORE: gone}
            took = Chosen(tuple(one for one, _ in kept), left_out)
        chosen.append((selection, took))
        uri = addresses[selection.destination_uri]
        for one, at in kept:
            rows[one.interaction_id] = _row(selection, one.interaction_id, uri, at)
    found = {uri: by_id for uri, by_id in addresses.items() if by_id != uri}
    return Found(found, tuple(rows.values()), chosen)


class _Finder:
    """Looks each name up once."""

    def __init__(self, directory: Directory) -> None:
        self.problems: list[Problem] = []
        self._directory = directory
        self._known: dict[tuple[str, str], str] = {}

    async def address_of(self, uri: str, source: str) -> str:
        """Return a destination by its id; as it is, where it needs no look-up or has no id."""
        named = named_in(uri)
        if named is None:
            return uri
        kind, name = named
        return address(kind, await self.id_of(kind, name, source))

    async def id_of(self, kind: str, name: str, source: str) -> str:
        """Return the one id of a name; the name itself, after noting a problem, if there is none."""
        if is_id(name):
            return name
        if (kind, name) not in self._known:
            ids = await self._directory.ids_of(kind, name)
            if len(ids) != 1:
                self.problems.append(_no_single(kind, name, ids, source))
            self._known[kind, name] = ids[0] if ids else name
        return self._known[kind, name]


def _no_single(kind: str, name: str, ids: Sequence[str], source: str) -> Problem:
    file, _, line = source.rpartition(":")
    place = Place(file, int(line), 1)
    if not ids:
        fix = (
            f"check its spelling in the organisation, and that the client may see the {kind} (its "
            f"division); or write the {kind}'s id"
        )
        return Problem("R001", f"no {kind} is named `{name}`", place, fix)
    several = f"{len(ids)} {kind}s are named `{name}`"
    return Problem("R001", several, place, f"write the id of the one that is meant: {_few(ids)}")


def _few(ids: Sequence[str], most: int = 5) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


async def _found_at(
    directory: Directory, selection: QueueSelection, queue_id: str, one: Waiting
) -> FoundAt | None:
    """Return where an interaction was found; None: its agent has left it since."""
    found_at = FoundAt(address("queue", queue_id), selection.queue)
    if one.user_id is None:
        return found_at
    served_by = await directory.served_by(one.interaction_id, one.user_id)
    return None if served_by is None else replace(found_at, participant_id=served_by)


def _row(
    selection: QueueSelection, interaction_id: str, uri: str, found_at: FoundAt
) -> TransferRow:
    return TransferRow(
        interaction_id,
        interaction_id,
        uri,
        selection.media,
        selection.callbacks,
        selection.source,
        found_at,
    )


def _counts(selection: QueueSelection, chosen: Chosen) -> str:
    left = [f"{count:,} {reason}" for reason, count in sorted(chosen.left_out.items())]
    without = f", left out: {', '.join(left)}" if left else ""
    return f"queue {selection.queue}: {len(chosen.taken):,} selected{without}"
