"""Which addresses a callback may reach: resolved once, every one checked, none resolved again.

A host may be written so that no literal is seen (`2130706433`, `127.1`) or change its address
between two look-ups; so only what the resolver answered is judged, and only that is connected to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from runner.core.webhook import Refused, Suppressed, Unreachable
from runner.webhooks.special_ranges import is_special

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses; raises `OSError` when there are none."""

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def resolve_loopback(host: str, port: int) -> Sequence[str]:
    """Resolve loopback addresses spelt in full and `localhost`, and ask no name server.

    The loader fetches the secrets of no others for a rehearsal, so no others may be called.
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
    """Say why these addresses of one host are not called; None when each of them may be.

    `encrypted` False is plain http, which is for loopback addresses alone.
    """
    if not addresses:
        return Unreachable("its host name has no address")
    if all(is_loopback(address) for address in addresses):
        return None if simulated or allow_private else _refused(addresses[0])
    if simulated:
        return Suppressed("not a loopback address; under the simulator nothing else is called")
    if not encrypted:
        return Refused("plain http is for loopback addresses alone; write https")
    hidden = next((address for address in addresses if not is_public(address)), None)
    return _refused(hidden) if hidden and not allow_private else None


def is_loopback(address: str) -> bool:
    """Tell whether `address` is this machine itself, also where IPv6 wraps the IPv4 one."""
    return _unwrapped(address).is_loopback


def is_public(address: str) -> bool:
    """Tell whether `address` belongs to the public internet and to one host."""
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
