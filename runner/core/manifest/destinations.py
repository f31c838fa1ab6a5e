"""Limits of single destinations, and which one holds for a URI (operations.md, "Capacity of the destinations")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, field

from runner.core.frozen import frozen
from runner.core.gates import Bound
from runner.core.transfer.canonical_form import (
    begins_with,
    canonical_beginning,
    canonical_destination,
)

ANY = "*"

FIGURES = ("waiting", "on_queue")
"""What `while` may bound of a queue: numbers."""

STATES = ("presence", "routing_status")
"""What `while` may require of a user: texts, in lower case."""

GIVE_UP_S = 1800.0
"""How long a destination may be full before its transfers are given up, by default."""


@frozen
class DestinationLimits:
    """One entry of `destinations`; its limits are of each destination that `pattern` matches."""

    _: KW_ONLY
    pattern: str  # a destination URI, or the beginning of one and `*`
    rate_per_s: float | None = None
    in_flight: int | None = None
    bounds: Mapping[str, Bound] = field(default_factory=dict)  # by names of `FIGURES`
    states: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by names of `STATES`
    give_up_s: float = GIVE_UP_S
    source: str = ""  # "file:line"
    written: str = ""  # the pattern as the manifest has it, if a name was looked up

    @property
    def observes(self) -> bool:
        """Whether the destination has to be observed."""
        return bool(self.bounds or self.states)


@frozen
class DestinationTable:
    """The entries of `destinations`. The most specific one holds alone; nothing is merged."""

    entries: tuple[DestinationLimits, ...] = ()
    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The names, as canonical URIs, of destinations that were resolved to ids, which are the keys."""
    _exact: Mapping[str, DestinationLimits] = field(init=False, repr=False, compare=False)
    _prefixes: tuple[tuple[str, DestinationLimits], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        exact = {key_of(each.pattern): each for each in self.entries if not is_open(each.pattern)}
        prefixes = [(_start(each.pattern), each) for each in self.entries if is_open(each.pattern)]
        prefixes.sort(key=lambda pair: -len(pair[0]))
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_prefixes", tuple(prefixes))

    def __bool__(self) -> bool:
        return bool(self.entries)

    def limits_of(self, uri: str) -> DestinationLimits | None:
        """Return the limits of a destination; None: only the gateway's hold.

        They are the same in whatever spelling it is written, and for its name as for its id.
        """
        key = key_of(uri)
        found = self._exact.get(key)
        if found is not None:
            return found
        spellings = (key, *self.names.get(key, ()))
        return next(
            (
                each
                for start, each in self._prefixes
                if any(begins_with(spelling, start) for spelling in spellings)
            ),
            None,
        )

    def observed(self, uris: Iterable[str]) -> list[str]:
        """Return those destinations that have to be observed, in their order."""
        limits = ((uri, self.limits_of(uri)) for uri in uris)
        return [uri for uri, each in limits if each is not None and each.observes]


NO_LIMITS = DestinationTable()


def key_of(uri: str) -> str:
    """Return what two URIs of one destination have in common."""
    return canonical_destination(uri)


def is_open(pattern: str) -> bool:
    """Return whether a pattern matches by the beginning of a URI."""
    return pattern.endswith(ANY)


def pattern_key(pattern: str) -> str:
    """Return what two patterns for the same destinations have in common."""
    return _start(pattern) + ANY if is_open(pattern) else key_of(pattern)


def _start(pattern: str) -> str:
    return canonical_beginning(pattern[: -len(ANY)])
