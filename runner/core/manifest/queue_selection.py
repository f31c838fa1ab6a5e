"""Chooses the interactions of a queue that a selection takes (genesys-cloud.md, "Selecting from a queue")."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, unquote

from runner.core.frozen import frozen
from runner.core.manifest.model import QueueSelection

LISTED = "listed in the manifest already"
OTHER_MEDIA = "of another media type"
TOO_YOUNG = "not waiting long enough"
OF_UNKNOWN_AGE = "of unknown age"
BEYOND_LIMIT = "beyond the limit"
SERVED_NO_MORE = "no longer with its agent"


@frozen
class Waiting:
    """An interaction of a queue; it waits since `since_s` (seconds since the epoch), if known.

    With `user_id` it does not wait: that user is serving it.
    """

    interaction_id: str
    media_type: str
    since_s: float | None = None
    user_id: str | None = None


@frozen
class Selected:
    """The interactions that a selection takes, longest waiting first; counts of the others by reason."""

    taken: tuple[Waiting, ...]
    left_out: Mapping[str, int]


def select_waiting(
    selection: QueueSelection,
    waiting: Iterable[Waiting],
    *,
    now: float,
    is_listed: Callable[[str], bool],
) -> Selected:
    """Return what `selection` takes at `now`; duplicates, from shifting pages, count once."""
    left_out: Counter[str] = Counter()
    fit: list[Waiting] = []
    for each in {one.interaction_id: one for one in waiting}.values():
        reason = _unfit(selection, each, now, is_listed)
        if reason is None:
            fit.append(each)
        else:
            left_out[reason] += 1
    fit.sort(key=lambda one: (one.since_s is None, one.since_s, one.interaction_id))
    taken = fit if selection.limit is None else fit[: selection.limit]
    if len(taken) < len(fit):
        left_out[BEYOND_LIMIT] = len(fit) - len(taken)
    return Selected(tuple(taken), dict(left_out))


def _unfit(
    selection: QueueSelection, one: Waiting, now: float, is_listed: Callable[[str], bool]
) -> str | None:
    if one.media_type not in selection.media_types:
        return OTHER_MEDIA
    if selection.older_than_s is not None:
        if one.since_s is None:
            return OF_UNKNOWN_AGE
        if now - one.since_s <= selection.older_than_s:
            return TOO_YOUNG
    return LISTED if is_listed(one.interaction_id) else None


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
