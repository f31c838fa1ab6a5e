"""Which addresses a callback may reach."""

import pytest

from runner.core.webhook import Refused, Suppressed, Unreachable
from runner.webhooks.addresses import (
    check_addresses,
    is_loopback,
    is_public,
    resolve_by_system,
    resolve_loopback,
)

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "1.1.1.1"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
    ],
)
def test_loopback_is_seen_through_every_wrapping(address: str) -> None:
    assert is_loopback(address)
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:a00:1::",
        "::10.0.0.1",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.0.170",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "64:ff9b::5db8:d70e",
        "::ffff:93.184.215.14",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:1::1",
        "2001:2::1",
        "2001:3::1",
        "2001:4:112::1",
        "2001:10::1",
        "2001:20::1",
        "2001:30::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2002:5db8:d70e::1",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "4000::1",
        "::1:2:3",
        "fdff::1",
    ],
)
def test_what_is_not_the_public_internet_is_seen(address: str) -> None:
    assert not is_public(address)
    assert not is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["9.255.255.255", "11.0.0.0", "192.0.1.1", "192.88.98.1", "223.255.255.255", "2001:200::1",
     "2003::1", "2400:cb00::1", "2620:4f:8001::1", "3ffe::1", "3fff:1000::1"],
)  # fmt: skip
def test_the_neighbours_of_special_ranges_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert check(address) is None


def check(*addresses: str, **but: bool) -> object:
    options = {"encrypted": True, "allow_private": False, "simulated": False} | but
    return check_addresses(addresses, **options)


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    refused = check(*PUBLIC, "10.0.0.1")
    assert isinstance(refused, Refused)
    assert "10.0.0.1" in refused.reason
    assert "allow_private" in refused.reason


def test_private_addresses_are_called_where_the_callback_allows_it() -> None:
    assert check("10.0.0.1", allow_private=True) is None
    assert check("127.0.0.1", allow_private=True) is None


def test_plain_http_is_for_loopback_alone() -> None:
    assert isinstance(check(PUBLIC[0], encrypted=False), Refused)
    assert isinstance(check("10.0.0.1", encrypted=False, allow_private=True), Refused)
    assert check("127.0.0.1", encrypted=False, allow_private=True) is None


def test_a_rehearsal_calls_loopback_without_being_allowed_and_nothing_else_even_if() -> None:
    assert check("127.0.0.1", "::1", encrypted=False, simulated=True) is None
    for address in [*PUBLIC, "10.0.0.1"]:
        assert isinstance(check(address, simulated=True, allow_private=True), Suppressed)
    assert isinstance(check("127.0.0.1", PUBLIC[0], simulated=True), Suppressed)


def test_a_host_without_addresses_is_unreachable() -> None:
    assert isinstance(check(), Unreachable)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "127.0.0.1"])
async def test_numeric_disguises_of_loopback_are_resolved_before_they_are_judged(host: str) -> None:
    addresses = await resolve_by_system(host, 80)
    assert [is_loopback(address) for address in addresses] == [True]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1"])
async def test_a_rehearsal_resolves_loopback_spelt_in_full(host: str) -> None:
    assert all(is_loopback(address) for address in await resolve_loopback(host, 80))


@pytest.mark.parametrize(
    "host", ["crm.example.net", "127.1", "2130706433", "::ffff:127.0.0.1", "10.0.0.1"]
)
async def test_a_rehearsal_asks_no_name_server(host: str) -> None:
    with pytest.raises(OSError, match="not a loopback address"):
        await resolve_loopback(host, 443)
