from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.probe.net.address import Guard
from homeostat.probe.net.resolver import system_lookup

DENIED = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "fd00:100::100:200",
    "fd00:a9fe:a9fe::1",
    "::ffff:0:a9fe:a9fe",
    "ff02::1",
    "::ffff:a9fe:a9fe",
    "::ffff:127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:1::1",
    "::127.0.0.1",
)
ALLOWED = ("10.0.0.1", "192.168.1.1", "172.20.0.1", "8.8.8.8", "100.100.100.201", "fd00:10:96::1", "2606:4700::1111")
ODD_SPELLINGS = ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "2852039166", "0xa9fea9fe")


@pytest.mark.parametrize("address", DENIED)
def test_loopback_link_local_metadata_and_multicast_are_denied(address: str) -> None:
    """H9, fault 40: an address that belongs to the host or its cloud is never probed by default."""
    assert not Guard().allows(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_addresses_of_clusters_and_of_the_internet_are_allowed(address: str) -> None:
    assert Guard().allows(address)


@pytest.mark.parametrize("host", ODD_SPELLINGS)
def test_an_odd_spelling_of_an_address_is_judged_by_what_it_resolves_to(host: str) -> None:
    """H9, fault 40: decimal, octal and hexadecimal spellings reach the guard as real addresses."""
    addresses = system_lookup(host)

    assert addresses
    assert not any(Guard().allows(address) for address in addresses)


@pytest.mark.parametrize("text", ["", "shop.test", "127.0.0.1.nip.io", "0177.0.0.1", "1.2.3", "[::1]"])
def test_what_is_not_an_address_is_never_allowed(text: str) -> None:
    assert not Guard().allows(text)


def test_an_allowed_network_wins_over_everything() -> None:
    guard = Guard(allow=[ip_network("127.0.0.0/8")], deny=[ip_network("127.0.0.1/32")])

    assert guard.allows("127.0.0.1")
    assert guard.allows("::ffff:127.0.0.1") == guard.allows("64:ff9b::7f00:1")
    assert not guard.allows("169.254.169.254")


def test_the_address_of_the_api_server_is_denied_when_told() -> None:
    """H9: the ClusterIP of the API server is passed in, in any form it may be written."""
    guard = Guard(deny=[ip_network("10.96.0.1/32")])

    assert not guard.allows("10.96.0.1")
    assert not guard.allows("::ffff:10.96.0.1")
    assert guard.allows("10.96.0.2")


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_as_itself(address: IPv4Address) -> None:
    """H9: the v4-mapped, NAT64, 6to4 and compatible forms of an address are never allowed when it is not."""
    guard = Guard()
    number = int(address)
    forms = (
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
        IPv6Address(number),
    )

    if not guard.allows(str(address)):
        assert not any(guard.allows(str(form)) for form in forms)


def test_the_memory_of_verdicts_is_bounded() -> None:
    guard = Guard()
    for number in range(20_000):
        guard.allows(str(IPv4Address(0x0A000000 + number)))

    assert len(guard._verdicts) <= 16_384
