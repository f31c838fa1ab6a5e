"""Compares the names of people: those that look alike must not count as two people.

A name is compared in a form without case, width and spare blanks. What nobody can see in it, and
letters of several scripts in one part of it, are refused; so are two names of one file that look alike.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from runner.core.approval.wire import Malformed

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})

_UNSEEN_RANGES = (  # of other categories, and shown by nothing or a blank
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)

_MIXES = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA", "LATIN"}),  # Japanese
    frozenset({"CJK", "HANGUL", "LATIN"}),  # Korean
    frozenset({"CJK", "BOPOMOFO", "LATIN"}),  # Chinese
)
"""Scripts that are written together (Unicode's UTS 39, "highly restrictive")."""

_ALIKE = {
    "A": "\u0410\u0391",
    "a": "\u0430\u03b1\u0251",
    "B": "\u0412\u0392",
    "b": "\u044c",
    "C": "\u0421",
    "c": "\u0441",
    "d": "\u0501",
    "E": "\u0415\u0395",
    "e": "\u0435",
    "G": "\u050c",
    "g": "\u0581\u0261",
    "H": "\u041d\u0397",
    "h": "\u04bb\u0570",
    "i": "\u0456\u03b9\u0131",
    "J": "\u0408",
    "j": "\u0458",
    "K": "\u041a\u039a",
    "k": "\u043a\u03ba",
    "l": "\u04cf\u0406\u03991I",
    "M": "\u041c\u039c",
    "N": "\u039d",
    "n": "\u0578",
    "O": "\u041e\u039f0",
    "o": "\u043e\u03bf\u0585",
    "P": "\u0420\u03a1",
    "p": "\u0440\u03c1",
    "Q": "\u051a",
    "q": "\u051b\u0566",
    "S": "\u0405",
    "s": "\u0455",
    "T": "\u0422\u03a4",
    "t": "\u03c4",
    "u": "\u03c5\u057d",
    "v": "\u03bd",
    "W": "\u051c",
    "w": "\u051d\u03c9",
    "X": "\u0425\u03a7",
    "x": "\u0445\u03c7",
    "Y": "\u04ae\u03a5",
    "y": "\u0443\u03b3",
    "Z": "\u0396",
}
"""Letters of Cyrillic, Greek, Armenian and Latin, and digits, that look like a letter, with their case."""

_LOOKS_LIKE = str.maketrans({each: seen for seen, alike in _ALIKE.items() for each in alike})


def person(name: str) -> str:
    """Return the form in which the names of people are compared."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def look(name: str) -> str:
    """Return the form in which names are the same that people cannot tell apart."""
    seen = unicodedata.normalize("NFKC", name).translate(_LOOKS_LIKE)
    return person(seen)


def check_name(name: str) -> None:
    """Raise `Malformed` for a name that is not what it looks like."""
    for character in name:
        if _is_unseen(character):
            raise Malformed(
                f"its name {name!a} has a character that nobody sees, U+{ord(character):04X};"
                " write the name anew, without it"
            )
    for part in unicodedata.normalize("NFKC", name).split("@"):
        scripts = set(filter(None, map(_script_of, part)))
        if len(scripts) > 1 and not any(scripts <= mix for mix in _MIXES):
            raise Malformed(
                f"its name {name!a} mixes letters of {' and '.join(sorted(map(str.title, scripts)))};"
                " write the name in the letters of one script"
            )


def find_alike(name: str, others: Iterable[str]) -> str | None:
    """Return the first of other people's names that looks like this one; None: there is none."""
    own, seen = person(name), look(name)
    return next((each for each in others if look(each) == seen and person(each) != own), None)


def _is_unseen(character: str) -> bool:
    at = ord(character)
    is_of_range = any(first <= at <= last for first, last in _UNSEEN_RANGES)
    return is_of_range or unicodedata.category(character) in _UNSEEN_CATEGORIES


def _script_of(character: str) -> str | None:
    """Return a letter's script, by the first word of its name; None: it is no letter."""
    if not unicodedata.category(character).startswith("L"):
        return None
    word = unicodedata.name(character, "OTHER").partition(" ")[0].partition("-")[0]
    return "CJK" if word == "IDEOGRAPHIC" else word
