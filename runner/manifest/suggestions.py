"""Suggests the name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache

_LISTED = 8
_COMPARED = 500
"""Most names that are compared individually; more would take too long."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."
_FORMS = {
    "media matrix": "media: {NAME: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}",
    "gate": "gates: {NAME: {url: https://HOST/PATH}}",
    "callback": "callbacks: {NAME: {url: https://HOST/PATH}}",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `name`, or None if none is similar enough."""
    by_folded = _folded(frozenset(known))
    written = name.casefold()[:200]
    if len(by_folded) > _COMPARED:  # only typos of one letter, in constant time
        near = [typo for typo in _typos(written) if typo in by_folded]
    else:
        begun = [known for known in by_folded if name and known.startswith(written)]
        close = get_close_matches(written, by_folded, n=1, cutoff=0.7)
        near = close or (begun if len(begun) == 1 else [])
    return by_folded[near[0]] if near else None


@lru_cache(maxsize=8)
def _folded(known: frozenset[str]) -> Mapping[str, str]:
    return {candidate.casefold(): candidate for candidate in sorted(known)}


def _typos(word: str) -> Iterator[str]:
    """Yield the word with one letter deleted, swapped with the next, replaced or inserted."""
    for at in range(len(word) + 1):
        begin, end = word[:at], word[at:]
        yield begin + end[1:]
        yield begin + end[1:2] + end[:1] + end[2:]
        for letter in _LETTERS:
            yield begin + letter + end[1:]
            yield begin + letter + end


def offer(
    name: str, known: Iterable[str], *, kind: str, before: str = "known", written: str = "NAME"
) -> str:
    """Return the fix for an unknown name: the most similar one, else a list after `before`.

    If no name is known, the fix shows how to define `written`.
    """
    names = frozenset(known)
    if (near := nearest(name, names)) is not None:
        return f"did you mean `{near}`?"
    if not names:
        form = _FORMS[kind].replace("NAME", written, 1) if kind in _FORMS else ""
        return f"no {kind} is defined" + (f"; write `{form}`" if form else "")
    return list_names(sorted(names), before)


def list_names(names: Iterable[str], before: str = "known") -> str:
    """Return the first names after `before`, and the number of further ones."""
    shown = list(names)
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    return f"{before}: {', '.join(f'`{name}`' for name in shown[:_LISTED])}{more}"
