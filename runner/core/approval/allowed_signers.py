"""Reads OpenSSH's file of allowed signers (ssh-keygen(1), "ALLOWED SIGNERS")."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from runner.core.approval.person_names import check_name, find_alike, person
from runner.core.approval.ssh_key import kind_of, parse_key
from runner.core.approval.wire import Malformed
from runner.core.frozen import frozen

LARGEST_FILE = 1 << 20
"""Bytes of a file of signers that are read."""

LocalTime = Callable[[datetime], float]
"""Returns the epoch seconds of a date and time in the machine's own zone."""

_OPTIONS = ("cert-authority", "namespaces", "valid-after", "valid-before")
_MOMENT = re.compile(r"[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z?")
_FORMATS = {0: "no moment", 8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_WORD = re.compile(r'(?:[^ \t"]|"(?:[^"\\]|\\.)*")+')
_OPTION = re.compile(r'([A-Za-z-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
_PATTERN = re.compile(r"[*?!]")


@frozen
class Signer:
    """A line of the file: who signs with which key, for what and when."""

    names: tuple[str, ...]
    key: bytes  # its wire form
    line: int
    namespaces: str | None = None  # patterns; None: all
    valid_after_s: float | None = None
    valid_before_s: float | None = None

    def covers(self, namespace: str) -> bool:
        """Return whether the line holds for signatures of a namespace."""
        return self.namespaces is None or matches_list(namespace, self.namespaces)

    def why_not(self, now_s: float) -> str | None:
        """Return why the line does not hold now; None: it does."""
        if self.valid_after_s is not None and now_s < self.valid_after_s:
            return f"the key of {self.names[0]} is not valid yet (valid-after, line {self.line})"
        if self.valid_before_s is not None and now_s > self.valid_before_s:
            return f"the key of {self.names[0]} has expired (valid-before, line {self.line})"
        return None


@frozen
class SignersFault:
    """A line that cannot be used; the text states the problem, then the fix, after a semicolon."""

    line: int
    text: str


@frozen
class Signers:
    """Who may sign for one namespace."""

    lines: tuple[Signer, ...]
    faults: tuple[SignersFault, ...] = ()

    def people(self) -> dict[bytes, frozenset[str]]:
        """Return every key with all names of its person.

        Lines that share a key, or a name, however it is spelt, are of one person.
        """
        groups: list[tuple[set[bytes], set[str]]] = []
        for signer in self.lines:
            keys, names = {signer.key}, set(map(person, signer.names))
            apart = []
            for group in groups:
                if group[0] & keys or group[1] & names:
                    keys, names = keys | group[0], names | group[1]
                else:
                    apart.append(group)
            groups = [*apart, (keys, names)]
        return {key: frozenset(names) for keys, names in groups for key in keys}

    def of_key(self, key: bytes) -> Iterator[Signer]:
        """Yield the lines that have a key."""
        return (signer for signer in self.lines if signer.key == key)


def parse_signers(text: bytes, namespace: str, local: LocalTime) -> Signers:
    """Return who may sign for `namespace`, and the lines that are wrong.

    Lines for other namespaces, and those of certificate authorities, are left out.
    """
    found, faults = list[Signer](), list[SignersFault]()
    for number, raw in enumerate(text.split(b"\n"), start=1):
        line = raw.strip(b" \t\r")
        if not line or line.startswith(b"#"):
            continue
        try:
            signer = _signer(line.decode(), number, local)
            if signer is not None and signer.covers(namespace):
                _check_names(signer, found)
                found.append(signer)
        except UnicodeDecodeError:
            faults.append(SignersFault(number, "the line is not UTF-8; store the file as UTF-8"))
        except Malformed as error:
            faults.append(SignersFault(number, str(error)))
    return Signers(tuple(found), tuple(faults))


def matches_list(text: str, patterns: str) -> bool:
    """Return whether a text matches a list of patterns as OpenSSH compares them."""
    matched = False
    for pattern in patterns.split(","):
        negated = pattern.startswith("!")
        if _matches(text, pattern.removeprefix("!")):
            if negated:
                return False
            matched = True
    return matched


def _matches(text: str, pattern: str) -> bool:
    wild = "".join({"*": ".*", "?": "."}.get(each) or re.escape(each) for each in pattern)
    return re.fullmatch(re.sub(r"(\.\*)+", ".*", wild), text) is not None


def _signer(line: str, number: int, local: LocalTime) -> Signer | None:
    """Return what a line says; None: it is a certificate authority's."""
    words = _WORD.findall(line)
    if len(words) < 3:  # noqa: PLR2004 - as the fix says
        raise Malformed("it is not a signer; write: NAME [OPTIONS] KEY-TYPE KEY")
    names, options, kind, *rest = words
    if _is_kind(options):
        kind, rest, options = options, [kind, *rest], ""
    if not _is_kind(kind) or not rest:
        raise Malformed("it has no key; write: NAME [OPTIONS] KEY-TYPE KEY")
    given = dict(_options(options))
    key = _key(kind, rest[0])
    if "cert-authority" in given:
        return None
    parse_key(key)
    return Signer(
        tuple(names.strip('"').split(",")),
        key,
        number,
        given.get("namespaces"),
        _moment(given.get("valid-after"), local),
        _moment(given.get("valid-before"), local),
    )


def _check_names(signer: Signer, others: Sequence[Signer]) -> None:
    """Raise `Malformed` unless each name is a person's, and looks like no other person's."""
    if not all(map(person, signer.names)) or any(map(_PATTERN.search, signer.names)):
        raise Malformed(
            "its name is a pattern, which names no person; write one name, such as"
            " alice@example.net, or limit the line by namespaces"
        )
    for name in signer.names:
        check_name(name)
        for other in others:
            if (alike := find_alike(name, other.names)) is not None:
                raise Malformed(
                    f"its name {name!a} looks like {alike!a} of line {other.line}; write names that"
                    " people can tell apart"
                )


def _is_kind(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-")) and "=" not in word


def _options(text: str) -> Iterator[tuple[str, str]]:
    at, seen = 0, set[str]()
    while at < len(text):
        found = _OPTION.match(text, at)
        name = found[1].lower() if found else ""
        if found is None or name not in _OPTIONS or (name != _OPTIONS[0]) != (found[2] is not None):
            raise Malformed(
                f"{text[at:][:40]!r} is not an option; write one of {', '.join(_OPTIONS)}, with"
                " its value in double quotes"
            )
        if name in seen:
            raise Malformed(f"the option {name} is given twice; write it once")
        seen.add(name)
        yield name, (found[2] or "").replace('\\"', '"')
        at = found.end()


def _key(kind: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("its key is not base64; copy it from the .pub file again") from None
    if kind_of(key) != kind:
        raise Malformed(f"its key is not of the kind {kind}; copy both from the .pub file again")
    return key


def _moment(text: str | None, local: LocalTime) -> float | None:
    if text is None:
        return None
    try:
        digits = text.removesuffix("Z") if _MOMENT.fullmatch(text) else ""
        moment = datetime.strptime(digits, _FORMATS[len(digits)])  # noqa: DTZ007 - as OpenSSH reads it
        return moment.replace(tzinfo=UTC).timestamp() if digits != text else local(moment)
    except (ValueError, OverflowError):
        raise Malformed(
            f"{text[:40]!r} is not a date; write YYYYMMDD or YYYYMMDDHHMM, with Z for UTC"
        ) from None
