"""Address ranges without hosts of the public internet, as data.

Source: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), as of 2026-11, every
entry whatever its column "Globally Reachable" says: what is translated, tunnelled or anycast there
does not name one public host. Added are multicast, and two IPv6 ranges that were given up.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network (RFC 791)
            "10.0.0.0/8",  # private use (RFC 1918)
            "100.64.0.0/10",  # shared address space (RFC 6598)
            "127.0.0.0/8",  # loopback (RFC 1122)
            "169.254.0.0/16",  # link-local, where clouds keep their metadata (RFC 3927)
            "172.16.0.0/12",  # private use (RFC 1918)
            "192.0.0.0/24",  # IETF protocol assignments, all its parts included (RFC 6890)
            "192.0.2.0/24",  # documentation (RFC 5737)
            "192.31.196.0/24",  # AS112 (RFC 7535)
            "192.52.193.0/24",  # AMT (RFC 7450)
            "192.88.99.0/24",  # 6to4 relays, given up (RFC 7526)
            "192.168.0.0/16",  # private use (RFC 1918)
            "192.175.48.0/24",  # AS112 (RFC 7534)
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "198.51.100.0/24",  # documentation (RFC 5737)
            "203.0.113.0/24",  # documentation (RFC 5737)
            "224.0.0.0/4",  # multicast (RFC 5771)
            "240.0.0.0/4",  # reserved, limited broadcast included (RFC 1112)
        ),
    )
)

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""What is not in it is no public address: unassigned, local, multicast, or IPv4 in disguise."""

IPV6 = tuple(
    map(
        IPv6Network,
        (
            "::/96",  # unspecified, loopback; IPv4-compatible addresses, given up (RFC 4291)
            "::ffff:0:0/96",  # IPv4-mapped (RFC 4291)
            "64:ff9b::/96",  # IPv4/IPv6 translation (RFC 6052)
            "64:ff9b:1::/48",  # local-use translation (RFC 8215)
            "100::/64",  # discard only (RFC 6666)
            "100:0:0:1::/64",  # dummy prefix (RFC 9780)
            "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, AMT, all its parts (RFC 2928)
            "2001:db8::/32",  # documentation (RFC 3849)
            "2002::/16",  # 6to4 (RFC 3056)
            "2620:4f:8000::/48",  # AS112 (RFC 7534)
            "3fff::/20",  # documentation (RFC 9637)
            "5f00::/16",  # segment routing (RFC 9602)
            "fc00::/7",  # unique local (RFC 4193)
            "fe80::/10",  # link-local (RFC 4291)
            "fec0::/10",  # site-local, given up (RFC 3879)
            "ff00::/8",  # multicast (RFC 4291)
        ),
    )
)


def is_special(ip: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is in a special range, or not assigned to hosts."""
    if isinstance(ip, IPv4Address):
        return any(ip in network for network in IPV4)
    return ip not in GLOBAL_UNICAST or any(ip in network for network in IPV6)
