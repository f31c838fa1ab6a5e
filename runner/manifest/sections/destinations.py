"""Checks the limits of single destinations, and builds them as frozen values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from runner.core.diagnostics.problem import Problem, Severity
from runner.core.gates import parse_bound
from runner.core.manifest.destinations import (
    ANY,
    FIGURES,
    GIVE_UP_S,
    STATES,
    DestinationLimits,
    DestinationTable,
    is_open,
    pattern_key,
)
from runner.core.manifest.model import DriverTraits
from runner.core.manifest.quantity import parse_duration, parse_rate
from runner.core.manifest.rules import check_destination
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.suggestions import list_names

_OBSERVED_OF = {
    **dict.fromkeys(FIGURES, "genesys://queue/"),
    **dict.fromkeys(STATES, "genesys://user/"),
}
"""The beginning of the destinations that have a figure or a state."""

_STARTS = ("genesys://queue/", "genesys://user/", "sip:", "tel:")


def check_destinations(
    document: Document, driver: DriverTraits | None, problems: Collector
) -> None:
    """Add the problems of `destinations` that the schema cannot express."""
    section = document.section("destinations")
    seen: dict[str, str] = {}
    for pattern, entry in section.items():
        problems.extend(_check_pattern(document, section, pattern, driver))
        key = pattern_key(pattern)
        if key in seen:
            message = f"`{pattern}` and `{seen[key]}` are limits of the same destination"
            place = document.tree.key(section, pattern)
            problems.add(Problem("R013", message, place, "keep one of them"))
        seen.setdefault(key, pattern)
        if isinstance(entry, Mapping) and isinstance(entry.get("while"), Mapping):
            problems.extend(_check_while(document, pattern, entry, driver))


def _check_pattern(
    document: Document, section: Mapping[str, Any], pattern: str, driver: DriverTraits | None
) -> Iterator[Problem]:
    place = document.tree.key(section, pattern)
    if is_open(pattern):
        start = pattern[:-1]
        if pattern != ANY and not start.startswith(_STARTS):
            message = f"`{pattern}` matches no destination"
            fix = f"write `{ANY}`, or begin with {', '.join(_STARTS[:-1])} or {_STARTS[-1]}"
            yield Problem("R006", message, place, fix)
        return
    found = check_destination(pattern, names=driver is not None and driver.can_select)
    if found is not None:
        yield Problem(found.code, found.message, place, found.help)


def _check_while(
    document: Document, pattern: str, entry: Mapping[str, Any], driver: DriverTraits | None
) -> Iterator[Problem]:
    place = document.tree.key(entry, "while")
    if driver is not None and not driver.can_observe_capacity:
        message = f"the driver {driver.name} cannot observe destinations"
        fix = "delete `while`; `rate` and `in_flight` hold with every driver"
        yield Problem("S012", message, place, fix)
        return
    for name in entry["while"]:
        start = _OBSERVED_OF[name]
        if not pattern.startswith(start):
            message = f"`{name}` is not observed of `{pattern}`"
            fix = f"it is a figure of {start}…: move it to an entry for these, or delete it"
            yield Problem("R014", message, document.tree.key(entry["while"], name), fix)


def check_unmatched(
    document: Document, destinations: Callable[[], Collection[str]], problems: Collector
) -> None:
    """Add a warning for each beginning that matches none of the rows' `destinations` (R016).

    Entries for all of a kind are no mistakes, and those of included files are for other manifests too.
    """
    section, tree = document.section("destinations"), document.tree
    begun = [each for each in section if is_open(each) and each[: -len(ANY)] not in ("", *_STARTS)]
    own = [each for each in begun if tree.key(section, each).file == tree.source.name]
    there = destinations() if own and not problems.failed else ()
    for pattern in own if there else ():
        table = DestinationTable((DestinationLimits(pattern=pattern),))
        if not any(map(table.limits_of, there)):
            message = f"`{pattern}` matches no destination of this manifest, so it limits nothing"
            fix = f"{list_names(sorted(there), 'there are')}; or delete the entry"
            problems.add(
                Problem("R016", message, tree.key(section, pattern), fix, Severity.WARNING)
            )


def build_destinations(document: Document) -> DestinationTable:
    """Return the limits; the schema has accepted them."""
    section = document.section("destinations")
    entries = []
    for pattern, entry in section.items():
        observed = entry.get("while", {})
        place = document.tree.key(section, pattern)
        entries.append(
            DestinationLimits(
                pattern=pattern,
                rate_per_s=parse_rate(entry["rate"]) if "rate" in entry else None,
                in_flight=int(entry["in_flight"]) if "in_flight" in entry else None,
                bounds={each: parse_bound(observed[each]) for each in FIGURES if each in observed},
                states={each: _texts(observed[each]) for each in STATES if each in observed},
                give_up_s=parse_duration(entry["give_up"]) if "give_up" in entry else GIVE_UP_S,
                source=f"{place.file}:{place.line}",
            )
        )
    return DestinationTable(tuple(entries))


def _texts(written: str | list[str]) -> frozenset[str]:
    return frozenset({written} if isinstance(written, str) else written)
