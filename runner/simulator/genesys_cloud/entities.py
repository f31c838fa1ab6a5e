"""Queues and users, and the meaning of ids.

The id of a named entity is derived from its name. Any other well-formed UUID is the id of an
existing entity, except in two ranges: ids that begin with `00000404` are not found, and those with
`00000403` lie in a division that the client may not see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from uuid import UUID, uuid5

from runner.core.frozen import frozen
from runner.simulator.genesys_cloud.errors import Refused

NAMESPACE = UUID("6f0d3c1e-5f0a-5b59-9d0e-6a1d6e6c5f77")
ORIGIN = "origin"
"""The queue of every conversation that no option names."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOT_FOUND = "00000404-"
_FORMER = ("deleted", "inactive")
_FOREIGN = "00000403-"


def make_id(*parts: object) -> str:
    """Return the id derived from `parts`."""
    return str(uuid5(NAMESPACE, "/".join(map(str, parts))))


def is_id(text: str) -> bool:
    """Return whether `text` is a well-formed UUID."""
    return _UUID.fullmatch(text) is not None


def is_missing(entity_id: str) -> bool:
    """Return whether the id does not exist."""
    return entity_id.startswith((_NOT_FOUND, "missing-"))


def is_foreign(entity_id: str) -> bool:
    """Return whether the id lies in another division."""
    return entity_id.startswith(_FOREIGN)


def require(entity_id: str) -> str:
    """Return `entity_id` in lower case if it exists and the client may see it.

    Raises `Refused`: `not.found`, `not.authorized`, `bad.request`.
    """
    if is_missing(entity_id):
        raise Refused("not.found", entity_id=entity_id)
    if is_foreign(entity_id):
        raise Refused("not.authorized", entity_id=entity_id)
    if not is_id(entity_id):
        raise Refused("bad.request", entity_id=entity_id)
    return entity_id.lower()


@frozen
class Entity:
    """A queue or a user; `state` is "deleted" or "inactive" for a former one."""

    id: str
    name: str
    state: str = "active"


@frozen
class EntityList:
    """The entities of one `kind` ("queue", "user"); a name listed twice has two ids."""

    kind: str
    entries: Sequence[Entity]
    _by_id: Mapping[str, Entity] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {entry.id: entry for entry in self.entries})

    @classmethod
    def of(cls, kind: str, names: Iterable[str], former: Iterable[str] = ()) -> EntityList:
        """Return a list of `names`, and of `former` ones that are deleted or inactive."""
        counts: dict[str, int] = {}
        entries = []
        for name in names:
            count = counts[name] = counts.get(name, 0) + 1
            entries.append(Entity(make_id(kind, name, *([count] if count > 1 else [])), name))
        entries += [
            Entity(make_id(kind, "former", name, number), name, _FORMER[number % 2])
            for number, name in enumerate(former)
        ]
        return cls(kind, tuple(sorted(entries, key=lambda entry: (entry.name.lower(), entry.id))))

    def find(self, entity_id: str) -> Entity:
        """Return the entity with that id. Raises what `require` raises."""
        entity_id = require(entity_id)
        return self._by_id.get(entity_id) or Entity(entity_id, f"{self.kind} {entity_id[:8]}")

    def name_of(self, entity_id: str | None) -> str | None:
        """Return the name of an existing id; None for None."""
        return None if entity_id is None else self.find(entity_id).name

    def matching(self, pattern: str | None) -> Iterator[Entity]:
        """Yield entities by name, ignoring case; `*` at either end matches any text."""
        if pattern is None:
            yield from self.entries
            return
        wanted = pattern.strip("*").lower()
        before, behind = pattern.startswith("*"), pattern.endswith("*")
        for entry in self.entries:
            if _matches(entry.name.lower(), wanted, before=before, behind=behind):
                yield entry


def _matches(name: str, wanted: str, *, before: bool, behind: bool) -> bool:
    if before and behind:
        return wanted in name
    if before:
        return name.endswith(wanted)
    return name.startswith(wanted) if behind else name == wanted
