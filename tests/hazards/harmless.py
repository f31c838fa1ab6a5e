"""Checks that no text can control what shows it."""

from __future__ import annotations

import re

CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def assert_harmless(text: str, *, but: str = "") -> None:
    found = CONTROL.search(text.translate({ord(c): None for c in but}))
    assert found is None, repr(text[max(0, found.start() - 80) : found.end() + 40])
