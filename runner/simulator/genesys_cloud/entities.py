"""Which queues and users there are, and what their ids tell.

Names have ids made from them. Any other well-formed UUID is the id of something that exists, but
for two reserved ranges: ids that begin with `00000404` are not found, with `00000403` they lie in a
division that the client may not see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from runner.simulator.genesys_cloud.errors import Refused

NAMESPACE = UUID("6f0d3c1e-5f0a-5b59-9d0e-6a1d6e6c5f77")
ORIGIN = "origin"
"""The queue in which every conversation waits that no option names."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NOT_FOUND = "00000404-"
_FORMER = ("deleted", "inactive")
_FOREIGN = "00000403-"


def make_id(*parts: object) -> str:
    """Return the id that always goes with `parts`."""
    return str(uuid5(NAMESPACE, "/".join(map(str, parts))))


def is_id(text: str) -> bool:
    """Tell whether `text` is a well-formed UUID."""
    return _UUID.fullmatch(text) is not None


def is_missing(entity_id: str) -> bool:
    """Tell whether there is nothing of that id."""
    return entity_id.startswith((_NOT_FOUND, "missing-"))


def is_foreign(entity_id: str) -> bool:
    """Tell whether the id lies in another division."""
    return entity_id.startswith(_FOREIGN)


def require(entity_id: str) -> str:
    """Return `entity_id` if there is something of that id that the client may see.

    Raises `Refused`: `not.found`, `not.authorized`, `bad.request`.
    """
    if is_missing(entity_id):
        raise Refused("not.found", entity_id=entity_id)
    if is_foreign(entity_id):
        raise Refused("not.authorized", entity_id=entity_id)
    if not is_id(entity_id):
        raise Refused("bad.request", entity_id=entity_id)
    return entity_id.lower()


@dataclass(frozen=True, slots=True)
class Entity:
    """A queue or a user; a `former` one is known still, and of no use."""

    id: str
    name: str
    state: str = "active"


@dataclass(frozen=True, slots=True)
class EntityList:
    """The named of one `kind` ("queue", "user"); a name listed twice has two ids."""

    kind: str
    entries: Sequence[Entity]
    _by_id: Mapping[str, Entity] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {entry.id: entry for entry in self.entries})

    @classmethod
    def of(cls, kind: str, names: Iterable[str], former: Iterable[str] = ()) -> EntityList:
        """Give every one of `names` its id, and those of `former`, who have left, theirs."""
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
        """Return what `entity_id` names; raises `Refused` as `require` does."""
        entity_id = require(entity_id)
        return self._by_id.get(entity_id) or Entity(entity_id, f"{self.kind} {entity_id[:8]}")

    def name_of(self, entity_id: str | None) -> str | None:
        """Return the name that goes with an id which is known to exist."""
        return None if entity_id is None else self.find(entity_id).name

    def matching(self, pattern: str | None) -> Iterator[Entity]:
        """Yield by name: case does not matter, a star may stand before and behind."""
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
