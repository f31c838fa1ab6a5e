"""Canonical forms of interactions and destinations, for comparison only.

Both can be written in several ways. Two texts name the same thing if their canonical forms are equal.
Messages, reports and the journal keep the manifest's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_UUID_LENGTH = 36
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_SEPARATORS = str.maketrans("", "", "-.()")
_SUBSCRIBER = re.compile(r"\+?[().-]*[0-9][0-9().-]*")
_SIP_PORT, _SIP_TLS_PORT = 5060, 5061


def canonical_interaction(interaction_id: str) -> str:
    """Return the canonical id of an interaction or a message: UUIDs in lower case, others unchanged."""
    lower = interaction_id.lower()
    if lower == interaction_id:  # most are: the pattern takes longer
        return interaction_id
    is_uuid = len(interaction_id) == _UUID_LENGTH and _UUID.fullmatch(interaction_id)
    return lower if is_uuid else interaction_id


@lru_cache(maxsize=4096)
def canonical_destination(uri: str) -> str:
    """Return a destination's canonical URI; URIs of other schemes are unchanged.

    `tel:` follows RFC 3966, section 5; `sip:` follows RFC 3261, 19.1.4, except that a default port
    equals none: the server is the same, and a second transfer to it must not look like a new one.
    """
    scheme, colon, rest = uri.partition(":")
    canonical = _SCHEMES.get(scheme.lower())
    return canonical(rest) if colon and canonical is not None else uri


def canonical_beginning(start: str) -> str:
    """Return the beginning of a destination's URI in canonical spelling, as far as it has one.

    Parameters keep their order, and a port is kept: more may follow.
    """
    scheme, _, rest = start.partition(":")
    if scheme.lower() != "sip":
        return canonical_destination(start)
    user, at, place = rest.partition("@")
    address, question, headers = place.partition("?")
    return f"sip:{_plain(user)}{at}{address.lower()}{question}{headers}"


def begins_with(destination: str, start: str) -> bool:
    """Return whether a canonical destination begins with a canonical beginning.

    Only the whole URI tells whether its letters are those of an id or host, which have no case, and
    whether its user is a telephone number.
    """
    if destination.startswith(start):
        return True
    if destination.startswith("sip:"):
        user, at, place = start.partition("@")
        if "@" not in destination:
            return destination.startswith(start.lower())
        is_number = ";user=phone" in destination and _SUBSCRIBER.fullmatch(user[len("sip:") :])
        return bool(is_number) and destination.startswith(user.translate(_SEPARATORS) + at + place)
    is_id = _UUID.fullmatch(destination[-_UUID_LENGTH:]) is not None
    return is_id and destination.startswith(start.lower())


def same_destination(one: str | None, other: str | None) -> bool:
    """Return whether two URIs name the same destination; None is an unknown destination."""
    if one is None or other is None:
        return one is other
    return one == other or canonical_destination(one) == canonical_destination(other)


def _tel(rest: str) -> str:
    """Decode needless escapes; remove visual separators; lower and sort the parameters."""
    number, *parameters = _plain(rest).lower().split(";")
    return ";".join(["tel:" + number.translate(_SEPARATORS), *sorted(map(_tel_value, parameters))])


def _tel_value(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if name == "ext" or (name == "phone-context" and value.startswith("+")):
        value = value.translate(_SEPARATORS)
    return name + equals + value


def _sip(rest: str) -> str:
    """Lower host and parameters, sort parameters; remove the default port and needless escapes."""
    user, at, place = rest.partition("@")  # a user may contain `;` and `?`, but no `@`
    if not at:
        user, place = "", rest
    address, question, headers = place.partition("?")
    host_port, *parameters = address.split(";")
    names = sorted(_plain(parameter).lower() for parameter in parameters)
    user = _plain(user)
    if "user=phone" in names and _SUBSCRIBER.fullmatch(user):
        user = user.translate(_SEPARATORS)
    default = _SIP_TLS_PORT if "transport=tls" in names else _SIP_PORT
    where = ";".join([_host(host_port, default), *names])
    rest = "&".join(sorted(map(_header, headers.split("&"))))
    return f"sip:{user}{at}{where}{question}{rest}"


def _host(host_port: str, default: int) -> str:
    """Return host and port in lower case, without the default port."""
    host, colon, port = host_port.lower().rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()):  # no port, or an IPv6 address's end
        host, port = host_port.lower(), ""
    if host.startswith("[") and host.endswith("]"):
        with suppress(AddressValueError):
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
    return host if not port or int(port) == default else f"{host}:{int(port)}"


def _header(header: str) -> str:
    name, equals, value = _plain(header).partition("=")
    return name.lower() + equals + value


def _plain(text: str) -> str:
    """Decode needless escapes; write the others with capital letters."""
    return _ESCAPE.sub(_unescaped, text) if "%" in text else text


def _unescaped(escape: re.Match[str]) -> str:
    code = int(escape[1], 16)
    return chr(code) if code in _UNRESERVED else escape[0].upper()


def _genesys(rest: str) -> str:
    """Decode escapes; lower ids, which are UUIDs, but not names."""
    if not rest.startswith("//"):
        return f"genesys:{rest}"
    kind, slash, name = rest[2:].partition("/")
    # Escaped again, so that a slash or a percent sign in a name keeps its meaning.
    name = quote(unquote_to_bytes(canonical_interaction(name)), safe="")
    return f"genesys://{kind}{slash}{canonical_interaction(name)}"


_SCHEMES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"tel": _tel, "sip": _sip, "genesys": _genesys}
)
