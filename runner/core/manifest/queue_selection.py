"""Chooses the interactions of a queue that a selection takes (genesys-cloud.md, "Selecting from a queue")."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from urllib.parse import quote, unquote

from runner.core.frozen import frozen
from runner.core.manifest.model import QueueSelection

LISTED = "listed in the manifest already"
OTHER_MEDIA = "of another media type"
TOO_YOUNG = "not waiting long enough"
OF_UNKNOWN_AGE = "of unknown age"
BEYOND_LIMIT = "beyond the limit"
SERVED_NO_MORE = "no longer with its agent"
HELD_BY_OTHERS = "served by another agent"
OTHER_DIRECTION = "of another direction"
FROM_ELSEWHERE = "from another address"
TO_ELSEWHERE = "to another address"
OTHER_SKILL = "without the skill"
OTHER_LANGUAGE = "of another language"
OTHER_PRIORITY = "of another priority"
OF_UNKNOWN_PRIORITY = "of unknown priority"


@frozen
class Waiting:
    """An interaction of a queue; it waits since `since_s` (seconds since the epoch), if known.

    With `user_id` it does not wait: that user is serving it. Skills and language are ids.
    """

    interaction_id: str
    media_type: str
    since_s: float | None = None
    user_id: str | None = None
    direction: str | None = None
    address_from: tuple[str, ...] = ()  # every address that the platform shows
    address_to: tuple[str, ...] = ()
    skill_ids: tuple[str, ...] = ()
    language_id: str | None = None
    priority: int | None = None


class Standing(Enum):
    """What is known of an interaction, before it is selected, for the selection's destination."""

    NOT_SENT = "not_sent"  # the plan will not send it: it is protected, in doubt, reverted, there
    FAILED_BEFORE = "failed_before"  # rejected or failed before: tried after the others


Standings = Callable[[Sequence[str]], Mapping[str, Standing]]
"""Returns what is known of interactions; most are not in it."""


def nothing_known(_interactions: Sequence[str]) -> Mapping[str, Standing]:
    """Return no standings."""
    return {}


@frozen
class Listing:
    """What a directory found; an interaction may come twice.

    `since_s`: it saw only those that began since then (seconds since the epoch); None: all.
    """

    rows: Sequence[Waiting]
    since_s: float | None = None


@frozen
class Selected:
    """The interactions that a selection takes, longest waiting first; counts of the others by reason.

    An interaction that several users are serving has a row of each. `since_s` is that of the listing.
    """

    taken: tuple[Waiting, ...]
    left_out: Mapping[str, int]
    since_s: float | None = None


def select_waiting(
    selection: QueueSelection,
    waiting: Iterable[Waiting],
    *,
    now: float,
    is_listed: Callable[[str], bool],
    standings: Standings = nothing_known,
) -> Selected:
    """Return what `selection` takes at `now`; duplicates, from shifting pages, count once.

    Its agent, skill and language are ids by now. Limit and counts are of interactions. The limit is
    of those that will be sent: the others would keep everybody else back, run after run.
    """
    fit: list[Waiting] = []
    reasons: dict[str, str] = {}
    for each in {(one.interaction_id, one.user_id): one for one in waiting}.values():
        reason = _unfit(selection, each, now, is_listed)
        if reason is None:
            fit.append(each)
        else:
            reasons[each.interaction_id] = reason
    fit.sort(key=lambda one: (one.since_s is None, one.since_s, one.interaction_id))
    found = dict.fromkeys(one.interaction_id for one in fit)
    taken = set(_within(selection.limit, list(found), standings))
    left_out = Counter(reason for each, reason in reasons.items() if each not in found)
    if len(taken) < len(found):
        left_out[BEYOND_LIMIT] = len(found) - len(taken)
    return Selected(tuple(one for one in fit if one.interaction_id in taken), dict(left_out))


def _within(limit: int | None, found: Sequence[str], standings: Standings) -> Sequence[str]:
    """Return the first `limit` that will be sent, and those before them that will not be."""
    if limit is None:
        return found
    known = standings(found)
    taken: list[str] = []
    for one in sorted(found, key=lambda each: known.get(each) is Standing.FAILED_BEFORE):
        if limit <= 0:
            break
        taken.append(one)
        limit -= known.get(one) is not Standing.NOT_SENT
    return taken


def _unfit(
    selection: QueueSelection, one: Waiting, now: float, is_listed: Callable[[str], bool]
) -> str | None:
    if one.media_type not in selection.media_types:
        return OTHER_MEDIA
    if (reason := _other(selection, one)) is not None:
        return reason
    if selection.older_than_s is not None:
        if one.since_s is None:
            return OF_UNKNOWN_AGE
        if now - one.since_s <= selection.older_than_s:
            return TOO_YOUNG
    return LISTED if is_listed(one.interaction_id) else None


def _other(selection: QueueSelection, one: Waiting) -> str | None:
    """Return what keeps an interaction out of a selection besides its media type and age."""
    bound = selection.priority
    checks = (
        (selection.held_by in {None, one.user_id}, HELD_BY_OTHERS),
        (selection.direction in {None, one.direction}, OTHER_DIRECTION),
        (_is_among(selection.address_from, one.address_from), FROM_ELSEWHERE),
        (_is_among(selection.address_to, one.address_to), TO_ELSEWHERE),
        (selection.skill is None or selection.skill in one.skill_ids, OTHER_SKILL),
        (selection.language in {None, one.language_id}, OTHER_LANGUAGE),
        (bound is None or one.priority is not None, OF_UNKNOWN_PRIORITY),
        (bound is None or one.priority is None or bound.holds(one.priority), OTHER_PRIORITY),
    )
    return next((reason for fits, reason in checks if not fits), None)


_SCHEME = re.compile(r"(?:tel|sips?|mailto):", re.IGNORECASE)


def _is_among(patterns: Sequence[str], found: Sequence[str]) -> bool:
    """Return whether an address matches one of `patterns`, with its scheme or without; none: any."""
    shown = {text.casefold() for each in found for text in (each, _SCHEME.sub("", each, count=1))}
    return not patterns or any(
        matches(pattern.casefold(), text) for pattern in patterns for text in shown
    )


def matches(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern, in which `*` stands for any text.

    It takes time linear in the text for each part of the pattern.
    """
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ADDRESS = re.compile(r"genesys://(queue|user)/(.+)", re.DOTALL)


def is_id(text: str) -> bool:
    """Return whether a queue or user is given by id, not by name."""
    return _ID.fullmatch(text) is not None


def named_in(destination_uri: str) -> tuple[str, str] | None:
    """Return kind (`queue`, `user`) and name of a destination that must be looked up.

    None for a destination by id or of another kind.
    """
    found = _ADDRESS.fullmatch(destination_uri)
    if found is None or is_id(found[2]):
        return None
    return found[1], unquote(found[2])


def address(kind: str, found_id: str) -> str:
    """Return the address of an id; `kind` is `queue` or `user`."""
    return f"genesys://{kind}/{quote(found_id, safe='')}"
