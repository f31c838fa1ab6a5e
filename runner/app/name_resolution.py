"""Resolves names to ids, and selections to rows, by the gateway's directory or by a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from typing import Any

from runner.console.diagnostics.marked_lines import SourceFiles
from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid
from runner.core.frozen import frozen
from runner.core.gates import QueueGate
from runner.core.manifest.destinations import (
    DestinationLimits,
    DestinationTable,
    is_open,
    key_of,
    pattern_key,
)
from runner.core.manifest.model import Manifest, QueueSelection
from runner.core.manifest.queue_selection import (
    SERVED_NO_MORE,
    Listing,
    Selected,
    Standing,
    Waiting,
    address,
    is_id,
    named_in,
    select_waiting,
)
from runner.core.number_text import counted
from runner.core.records.row_codec import ROW
from runner.core.timestamps import timestamp
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.rows import TransferRow
from runner.manifest.rows.columns import delimiter_of
from runner.ports import Directory
from runner.staging.rows import Staging


@frozen
class DirectoryAnswers:
    """A directory's answers: ids of names, rows of selections, and what selections left out."""

    addresses: Mapping[str, str] = field(default_factory=dict)  # by the destination as written
    rows: Sequence[TransferRow] = ()
    chosen: Sequence[tuple[QueueSelection, Selected]] = ()

    @property
    def explanation(self) -> str:
        """The answers in a line; empty if nothing was asked."""
        parts = [_counts(selection, chosen) for selection, chosen in self.chosen]
        if self.addresses:
            parts.insert(0, f"{counted(len(self.addresses), 'name')} looked up")
        return "; ".join(parts)

    @property
    def place_names(self) -> Mapping[str, str]:
        """The names of queues and users that the manifest names, by the destination with the id."""
        named = {by_id: named_in(uri) for uri, by_id in self.addresses.items()}
        names = {by_id: name[1] for by_id, name in named.items() if name is not None}
        places = {row.found_at for row in self.rows if row.found_at is not None}
        return names | {at.destination_uri: at.name for at in places if not is_id(at.name)}

    def add_to(self, staging: Staging) -> None:
        """Add the answers to the rows, so that they can be planned."""
        staging.readdress(self.addresses)
        for row in self.rows:
            staging.add(row)
        staging.selections.clear()

    def resolved(self, manifest: Manifest) -> Manifest:
        """Return a manifest whose limits of destinations and gates name queues by their ids.

        Raises `ManifestInvalid` for two limits of one destination.
        """
        entries = tuple(
            replace(each, pattern=self.addresses[each.pattern], written=each.pattern)
            if each.pattern in self.addresses
            else each
            for each in manifest.destinations.entries
        )
        names: dict[str, set[str]] = {}
        for uri, by_id in self.addresses.items():
            names.setdefault(key_of(by_id), set()).add(key_of(uri))
        problems = list(_repeats(manifest.destinations.entries, entries))
        if problems:
            raise ManifestInvalid(problems)
        gates = {
            name: replace(gate, queue=self.addresses.get(_address_of(gate), _address_of(gate)))
            if isinstance(gate, QueueGate)
            else gate
            for name, gate in manifest.gates.items()
        }
        return replace(manifest, destinations=DestinationTable(entries, names), gates=gates)

    def to_json(self) -> dict[str, Any]:
        """Return the form for plan files, without the counts of what was left out."""
        rows = [ROW.to_json(row) for row in self.rows]
        for row in rows:
            del row["key"]  # a selection's rows have none of their own
        return {"addresses": dict(self.addresses), "rows": rows}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> DirectoryAnswers:
        """Return what `to_json` wrote."""
        return cls(
            dict(kept["addresses"]),
            tuple(ROW.from_json({"key": row["interaction_id"], **row}) for row in kept["rows"]),
        )


NOTHING_ASKED = DirectoryAnswers()
"""The answers if nothing had to be asked."""


def needs_directory(manifest: Manifest, staging: Staging) -> bool:
    """Return whether the directory must be asked before the rows can be planned."""
    return (
        bool(staging.selections)
        or bool(_names(manifest, staging))
        or bool(named_by_limits_and_gates(manifest))
    )


def unresolved_text(manifest: Manifest, staging: Staging) -> str | None:
    """Return as text what an offline plan does not know; None if it knows everything."""
    names = {*_names(manifest, staging), *(uri for uri, _ in named_by_limits_and_gates(manifest))}
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
    """Return the destinations by name; empty for gateways that know only ids."""
    if not manifest.environment.driver.can_select:
        return []
    return [uri for uri in staging.destinations() if named_in(uri)]


def named_by_limits_and_gates(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the destinations by name that limits and gates are about, each with its source."""
    if not manifest.environment.driver.can_select:
        return []
    limits = [(each.pattern, each.source) for each in manifest.destinations.entries]
    queues = [
        (_address_of(gate), gate.source)
        for gate in manifest.gates.values()
        if isinstance(gate, QueueGate)
    ]
    return [(uri, source) for uri, source in (*limits, *queues) if _is_named(uri)]


def _is_named(uri: str) -> bool:
    return not is_open(uri) and named_in(uri) is not None


def _address_of(gate: QueueGate) -> str:
    """Return a gate's queue as a destination; it may have been resolved already."""
    return gate.queue if gate.queue.startswith("genesys://") else address("queue", gate.queue)


def _repeats(
    written: Sequence[DestinationLimits], resolved: Sequence[DestinationLimits]
) -> Iterator[Problem]:
    seen: dict[str, DestinationLimits] = {}
    for entry, by_id in zip(written, resolved, strict=True):
        first = seen.setdefault(pattern_key(by_id.pattern), entry)
        if first is not entry:
            file, _, line = entry.source.rpartition(":")
            message = f"`{entry.pattern}` and `{first.pattern}` are limits of the same destination"
            yield Problem("R013", message, Place(file, int(line), 1), "keep one of them")


_LINES_OF_ENTRY = 20
"""How many lines of a manifest's entry are looked through for a name."""

StandingsAt = Callable[[str, Sequence[str]], Mapping[str, Standing]]
"""Returns what is known of interactions that would go to a destination."""


def _nothing_known_at(_uri: str, _interactions: Sequence[str]) -> Mapping[str, Standing]:
    return {}


async def resolve_names(
    staging: Staging,
    directory: Directory,
    *,
    now: float,
    manifest: Manifest | None = None,
    standings_at: StandingsAt = _nothing_known_at,
) -> DirectoryAnswers:
    """Look up every name and selection of `staging`, and those of a manifest's limits and gates.

    Raises `ManifestInvalid` for a name that no queue or user has, or several have; `GatewayError`.
    """
    resolver = _NameResolver(directory)
    named = [(uri, source) for uri, source in staging.destinations().items() if named_in(uri)]
    named += [(each.destination_uri, each.source) for each in staging.selections]
    named += [] if manifest is None else named_by_limits_and_gates(manifest)
    addresses = {uri: await resolver.address_of(uri, source) for uri, source in dict(named).items()}
    selections = [await resolver.resolved(each) for each in staging.selections]
    if resolver.problems:
        raise ManifestInvalid(resolver.problems)
    chosen: list[tuple[QueueSelection, Selected]] = []
    rows: dict[str, TransferRow] = {}

    def is_listed(interaction_id: str) -> bool:
        return interaction_id in rows or staging.has_interaction(interaction_id)

    for selection, by_id in zip(staging.selections, selections, strict=True):
        listed = await _listed(directory, by_id)
        uri = addresses[selection.destination_uri]
        took = select_waiting(
            by_id,
            listed.rows,
            now=now,
            is_listed=is_listed,
            standings=partial(standings_at, uri),
        )
        took, places = await _still_found(directory, selection, by_id, took)
        chosen.append((selection, replace(took, since_s=listed.since_s)))
        for interaction_id, at in places.items():
            rows[interaction_id] = _row(selection, interaction_id, uri, at)
    found = {uri: by_id for uri, by_id in addresses.items() if by_id != uri}
    return DirectoryAnswers(found, tuple(rows.values()), chosen)


class _NameResolver:
    """Looks each name up once."""

    def __init__(self, directory: Directory) -> None:
        self.problems: list[Problem] = []
        self._directory = directory
        self._known: dict[tuple[str, str], str] = {}

    async def address_of(self, uri: str, source: str) -> str:
        """Return a destination by its id; unchanged if it needs no look-up or has no id."""
        named = named_in(uri)
        if named is None:
            return uri
        kind, name = named
        return address(kind, await self.id_of(kind, name, source))

    async def id_of(self, kind: str, name: str, source: str) -> str:
        """Return the id of a name; the name itself, after adding a problem, if there is not exactly one."""
        if is_id(name):
            return name
        if (kind, name) not in self._known:
            ids = await self._directory.ids_of(kind, name)
            if len(ids) != 1:
                self.problems.append(_no_single(kind, name, ids, source))
            self._known[kind, name] = ids[0] if ids else name
        return self._known[kind, name]

    async def resolved(self, selection: QueueSelection) -> QueueSelection:
        """Return a selection that names queue, agent, skill and language by their ids."""
        named = (
            ("queue", "queue", selection.queue),
            ("held_by", "user", selection.held_by),
            ("skill", "skill", selection.skill),
            ("language", "language", selection.language),
        )
        ids = {
            field: canonical_interaction(await self.id_of(kind, name, selection.source))
            for field, kind, name in named
            if name is not None
        }
        return replace(selection, **ids)  # type: ignore[arg-type]  # of texts


def _no_single(kind: str, name: str, ids: Sequence[str], source: str) -> Problem:
    place = _place_of(name, source)
    if not ids:
        fix = (
            f"check its spelling in the organisation, and that the client may see the {kind} (its "
            f"division); or write the {kind}'s id"
        )
        return Problem("R001", f"no {kind} is named `{name}`", place, fix)
    several = f"{len(ids)} {kind}s are named `{name}`"
    return Problem("R001", several, place, f"write the id of the right one: {_few(ids)}")


def _place_of(name: str, source: str) -> Place:
    """Return where a name stands in the row or entry of `source`, as far as that can be seen."""
    file, _, line = source.rpartition(":")
    first = int(line)
    size = 1 if delimiter_of(file) is not None else _LINES_OF_ENTRY
    lines = SourceFiles().lines(file, set(range(first, first + size)))
    for number, text in sorted(lines.items()):
        if (at := text.find(name)) >= 0:
            return Place(file, number, at + 1, at + 1 + len(name))
    return Place(file, first, 1)


def _few(ids: Sequence[str], most: int = 5) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more


async def _listed(directory: Directory, by_id: QueueSelection) -> Listing:
    """Return what a selection chooses from; it names everything by id."""
    if by_id.queue is None:
        return await directory.held_by(by_id.held_by or "")
    ask = directory.connected if by_id.is_connected else directory.waiting
    return await ask(by_id.queue)


async def _still_found(
    directory: Directory, selection: QueueSelection, by_id: QueueSelection, took: Selected
) -> tuple[Selected, dict[str, FoundAt]]:
    """Return what was taken and is still there, and the place of each interaction.

    Of several users who serve an interaction, the one who holds it counts.
    """
    kept: list[Waiting] = []
    places: dict[str, FoundAt] = {}
    for one in took.taken:
        if one.interaction_id in places:
            continue
        if (at := await _found_at(directory, selection, by_id, one)) is not None:
            kept.append(one)
            places[one.interaction_id] = at
    gone = len({one.interaction_id for one in took.taken}) - len(places)
    left_out = {**took.left_out, SERVED_NO_MORE: gone} if gone else took.left_out
    return Selected(tuple(kept), left_out), places


async def _found_at(
    directory: Directory, selection: QueueSelection, by_id: QueueSelection, one: Waiting
) -> FoundAt | None:
    """Return where an interaction was found; None if its agent has left it since."""
    if by_id.queue is None:
        at = FoundAt(address("user", by_id.held_by or ""), selection.held_by or "")
    else:
        at = FoundAt(address("queue", by_id.queue), selection.queue or "")
    if one.user_id is None:
        return at
    served_by = await directory.served_by(one.interaction_id, one.user_id)
    return None if served_by is None else replace(at, participant_id=served_by)


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


def _counts(selection: QueueSelection, chosen: Selected) -> str:
    left = [f"{count:,} {reason}" for reason, count in sorted(chosen.left_out.items())]
    without = f", left out: {', '.join(left)}" if left else ""
    where = f"user {selection.held_by}" if selection.queue is None else f"queue {selection.queue}"
    day = "" if chosen.since_s is None else timestamp(chosen.since_s)[:10]
    among = f" of those that began since {day}" if day else ""
    return f"{where}: {len(chosen.taken):,} selected{among}{without}"
