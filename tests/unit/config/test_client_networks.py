"""The network that limits by client are counted for."""

import pytest

from server.config.addresses import client_network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::2%" + "x" * 100_000, "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_counted_by_ipv4_address_or_by_the_first_64_bits_of_ipv6(
    address: str, network: str
) -> None:
    assert client_network(address) == network


def test_whatever_is_no_address_shares_one_network() -> None:
    others = ["", "unknown", "/run/freshet.sock", "1.2.3", "1.2.3.4:80", "x" * 100_000]
    assert {client_network(each) for each in others} == {"unknown"}
