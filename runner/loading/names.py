"""Offers the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 8
_FORMS = {
    "media matrix": "media: {NAME: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}",
    "callback": "callbacks: {NAME: {url: https://HOST/PATH}}",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to `name`, if any is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold()[:200], by_folded, n=1, cutoff=0.7)
    begun = [known for known in by_folded if name and known.startswith(name.casefold())]
    near = close or (begun if len(begun) == 1 else [])
    return by_folded[near[0]] if near else None


def offer(
    name: str, known: Iterable[str], *, kind: str, before: str = "known", written: str = "NAME"
) -> str:
    """Return the mend for an unknown name: the nearest one, else all of them after `before`.

    Where there is none at all, it tells how the name is defined as it was `written`.
    """
    names = sorted(known)
    if (near := nearest(name, names)) is not None:
        return f"did you mean `{near}`?"
    if not names:
        form = _FORMS[kind].replace("NAME", written, 1) if kind in _FORMS else ""
        return f"no {kind} is defined" + (f"; write `{form}`" if form else "")
    return listed(names, before)


def listed(names: Iterable[str], before: str = "known") -> str:
    """Return the first names after `before`, and how many more there are."""
    quoted = [f"`{name}`" for name in names]
    more = f" and {len(quoted) - _LISTED} more" if len(quoted) > _LISTED else ""
    return f"{before}: {', '.join(quoted[:_LISTED])}{more}"
