"""Addresses: had alone, or reserved for several processes and kept from everybody else."""

import socket
from collections.abc import Iterable

import pytest

from server.errors import AddressUnavailable
from server.listening import bind, reserved

# Where an address cannot be had, Tornado leaves its socket to the garbage collector.
TAKEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_free_port_is_reserved_and_several_may_listen_there(host: str) -> None:
    with reserved(host, 0) as port:
        assert port > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), 2)
        several = [bind(host, port, shared=True) for _ in range(3)]
        socket.create_connection((host, port), 2).close()
        for sockets in several:
            close(sockets)


@TAKEN
@pytest.mark.parametrize("shared", [False, True])
def test_where_somebody_listens_nothing_is_reserved(shared: bool) -> None:
    taken = bind("127.0.0.1", 0, shared=shared)
    port = taken[0].getsockname()[1]
    with (
        pytest.raises(AddressUnavailable, match=f"{port} cannot be listened on"),
        reserved("127.0.0.1", port),
    ):
        pytest.fail("it was reserved all the same")
    close(taken)
    with reserved("127.0.0.1", port) as again:
        assert again == port


@TAKEN
def test_one_that_wants_an_address_alone_does_not_get_one_that_others_share() -> None:
    with reserved("127.0.0.1", 0) as port:
        sharing = bind("127.0.0.1", port, shared=True)
        with pytest.raises(AddressUnavailable):
            bind("127.0.0.1", port)
        close(sharing)


def test_a_port_is_free_again_when_the_reservation_ends() -> None:
    with reserved("127.0.0.1", 0) as port:
        close(bind("127.0.0.1", port, shared=True))
    close(bind("127.0.0.1", port))


@TAKEN
def test_what_is_no_address_is_told() -> None:
    with pytest.raises(AddressUnavailable, match=r"192\.0\.2\.1"), reserved("192.0.2.1", 0):
        pytest.fail("it was reserved all the same")
