"""Resolves a callback's host once and checks every address.

A host may hide its address (`2130706433`, `127.1`) or change it between two look-ups, so the
resolver's answer is what is checked and connected to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from runner.core.webhook import Refused, Suppressed, Unreachable
from runner.webhooks.special_ranges import is_special

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host and port. Raises `OSError` if there are none."""

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Resolve with the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def resolve_loopback(host: str, port: int) -> Sequence[str]:
    """Resolve only `localhost` and literal loopback addresses, without a name server.

    A rehearsal has no secrets for other callbacks, so it must not call them.
    """
    if host.casefold() == "localhost" or _is_literal_loopback(host):
        return await resolve_by_system(host, port)
    raise OSError("not a loopback address")


def _is_literal_loopback(host: str) -> bool:
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback and (ip.version == 4 or int(ip) == 1)  # noqa: PLR2004 - IPv4


def check_addresses(
    addresses: Sequence[str], *, encrypted: bool, allow_private: bool, simulated: bool
) -> Refused | Suppressed | Unreachable | None:
    """Return why the addresses of a host are not called; None if all of them may be.

    `encrypted` False is plain http, which only loopback addresses may use.
    """
    if not addresses:
        return Unreachable("its host name has no address")
    if all(is_loopback(address) for address in addresses):
        return None if simulated or allow_private else _refused(addresses[0])
    if simulated:
        return Suppressed("not a loopback address; under the simulator nothing else is called")
    if not encrypted:
        return Refused("plain http is only for loopback addresses; write https")
    hidden = next((address for address in addresses if not is_public(address)), None)
    return _refused(hidden) if hidden and not allow_private else None


def is_loopback(address: str) -> bool:
    """Return whether `address` is this machine, also as an IPv4 address inside IPv6."""
    return _unwrapped(address).is_loopback


def is_public(address: str) -> bool:
    """Return whether `address` is that of a single host on the public internet."""
    return not is_special(ip_address(address))


def _unwrapped(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64 or (ip in _IPV4_COMPATIBLE and int(ip) > 1):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _refused(address: str) -> Refused:
    kind = "loopback" if is_loopback(address) else "not public"
    return Refused(
        f"its host resolves to {address}, which is {kind}; set allow_private: true to call it"
    )
