"""Which keys the patterns of `--only` and `--exclude` match; every command asks here.

A pattern is of a whole key, as in a shell: `*` stands for any text, `?` for one character, `[…]` for
one of a set, and `[!…]` or `[^…]` for one that is not of it. Upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate

_SPECIAL = re.compile(r"[*?[]")
_SET = re.compile(r"\[(?:([!^]?+)(\]?+[^\]]*+\]))?")
"""A set of characters in a pattern: its sign and the rest; of a bracket that none closes, neither."""


def matcher_of(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a key matches any of the patterns; none is matched by no key.

    A key that is one of them letter by letter is found without comparing the others.
    """
    different = frozenset(patterns)
    texts = frozenset(each for each in different if not _SPECIAL.search(each))
    compared = [translate(_SET.sub(_as_python, each)) for each in different - texts]
    if not compared:
        return texts.__contains__
    found = re.compile("|".join(compared)).match
    return lambda key: key in texts or found(key) is not None


def unmatched(patterns: Sequence[str], keys: Iterable[str]) -> list[str]:
    """Return the patterns that no key matches; the keys are read once, and only as far as needed."""
    left = {pattern: matcher_of([pattern]) for pattern in patterns}
    matches = matcher_of(patterns)
    for key in keys:
        if not left:
            break
        if matches(key):
            left = {pattern: each for pattern, each in left.items() if not each(key)}
    return [pattern for pattern in patterns if pattern in left]


def _as_python(found: re.Match[str]) -> str:
    """Return a set in the spelling of Python's `fnmatch`, which does not know `[^…]`."""
    sign, rest = found.groups()
    if rest is None:
        return "[[]"
    return f"[{'!' if sign else ''}{rest}"
