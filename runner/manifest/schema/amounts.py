"""Composes fixes for wrong counts and shares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PERCENTAGE = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*%")
_MAX_PERCENT = 100.0


def amount_fix(value: Any, part: Mapping[str, Any], shown: str) -> str | None:
    """Return the fix for a wrong count or share.

    None if the schema's `part` describes something else, or if the schema's own bounds (those of
    whole numbers) give the fix.
    """
    kind = part.get("title")
    if kind not in ("share", "count or share") or isinstance(value, bool):
        return None
    has_count, is_positive = kind != "share", part.get("minimum", 0) > 0
    if isinstance(value, str):
        return _text_fix(value, is_positive=is_positive, has_count=has_count)
    if not isinstance(value, float) or value.is_integer():
        return None
    as_share = f"{value * 100:g}%" if 0 < value < 1 else f"{shown}%"
    if not 0 < value < _MAX_PERCENT:
        return _in_general(is_positive=is_positive, has_count=has_count)
    count = ", or a whole number for a count" if has_count else ""
    return f"write `{as_share}` for a share (100% at most){count}"


def _text_fix(text: str, *, is_positive: bool, has_count: bool) -> str:
    found = _PERCENTAGE.fullmatch(text)
    if found is None:
        return _in_general(is_positive=is_positive, has_count=has_count)
    share = float(found[1])
    if share > _MAX_PERCENT:
        return "write `100%` or less"
    if share < 0 or (is_positive and not share):
        return "write a share above 0%" if is_positive else "write `0%` or more"
    if " " in text:
        return f"leave out the space: `{found[1]}%`"
    return _in_general(is_positive=is_positive, has_count=has_count)


def _in_general(*, is_positive: bool, has_count: bool) -> str:
    share = "a share above 0% and up to 100%" if is_positive else "a share from 0% to 100%"
    return f"write {'a count, such as `20`, or ' if has_count else ''}{share}, such as `5%`"
