"""Addresses: had alone, or reserved for several processes and kept from everybody else."""

import errno
import re
import socket
from collections.abc import Iterable

import pytest

from server.errors import AddressUnavailable
from server.http.connections.sockets import bind, reserved, split, url_of, why


def close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_free_port_is_reserved_and_several_may_listen_there(host: str) -> None:
    with reserved(host, 0) as port:
        assert port > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), 30)
        several = [bind(host, port, shared=True) for _ in range(3)]
        socket.create_connection((host, port), 30).close()
        for sockets in several:
            close(sockets)


@pytest.mark.parametrize("shared", [False, True])
def test_where_somebody_listens_nothing_is_reserved(shared: bool) -> None:
    taken = bind("127.0.0.1", 0, shared=shared)
    port = taken[0].getsockname()[1]
    with (
        pytest.raises(
            AddressUnavailable, match=f"Cannot listen on 127.0.0.1:{port}: address in use"
        ),
        reserved("127.0.0.1", port),
    ):
        pytest.fail("it was reserved all the same")
    close(taken)
    with reserved("127.0.0.1", port) as again:
        assert again == port


def test_no_connection_is_given_to_a_process_that_is_only_bound() -> None:
    with reserved("127.0.0.1", 0) as port:
        starting = bind("127.0.0.1", port, shared=True, listen=False)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 30)
        (running,) = bind("127.0.0.1", port, shared=True)
        running.settimeout(30)
        for _ in range(50):
            socket.create_connection(("127.0.0.1", port), 30).close()
            running.accept()[0].close()
        close([*starting, running])


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


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(AddressUnavailable, match=r"192\.0\.2\.1"), reserved("192.0.2.1", 0):
        pytest.fail("it was reserved all the same")


@pytest.mark.parametrize("hosts", ["*", "::", "0.0.0.0,::", "127.0.0.1, ::1", "::1,127.0.0.1"])
@pytest.mark.parametrize("shared", [False, True])
def test_both_families_are_listened_on_at_one_port(hosts: str, shared: bool) -> None:
    sockets = bind(hosts, 0, shared=shared)
    (port,) = {each.getsockname()[1] for each in sockets}
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port), 30).close()
    close(sockets)


def test_several_processes_may_share_several_addresses() -> None:
    with reserved("127.0.0.1,::1", 0) as port:
        for each in (first := bind("127.0.0.1,::1", port, shared=True)):
            assert each.getsockname()[1] == port
        close(bind("127.0.0.1,::1", port, shared=True))
        close(first)


def test_an_address_in_ipv4_alone_stays_in_ipv4() -> None:
    sockets = bind("0.0.0.0", 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", sockets[0].getsockname()[1]), 2)
    close(sockets)


def test_when_one_of_several_is_taken_none_is_kept() -> None:
    taken = bind("::1", 0)
    port = taken[0].getsockname()[1]
    with pytest.raises(AddressUnavailable, match=re.escape(f"[::1]:{port}: address in use")):
        bind("127.0.0.1,::1", port)
    close(bind("127.0.0.1", port))
    close(taken)


@pytest.mark.parametrize(
    ("hosts", "addresses", "url"),
    [
        ("127.0.0.1", ["127.0.0.1"], "http://127.0.0.1:80"),
        ("0.0.0.0, 127.0.0.1, ::1", ["0.0.0.0", "::1"], "http://127.0.0.1:80"),
        ("::1,*", ["*"], "http://127.0.0.1:80"),
        ("[::1]", ["[::1]"], "http://[::1]:80"),
        ("music.example,music.example", ["music.example"], "http://music.example:80"),
    ],
)
def test_a_list_of_addresses_names_each_once(hosts: str, addresses: list[str], url: str) -> None:
    assert split(hosts) == addresses
    assert url_of(hosts, 80) == url


def test_a_taken_port_comes_with_a_command_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    taken = bind("127.0.0.1", 0)
    port = taken[0].getsockname()[1]
    with pytest.raises(AddressUnavailable) as caught:
        bind("127.0.0.1", port)
    hint = re.search(r"Try -p (\d+), or PORT=\1\.$", str(caught.value))
    assert hint is not None
    close(bind("127.0.0.1", int(hint[1])))
    monkeypatch.setenv("MAKELEVEL", "1")
    with pytest.raises(AddressUnavailable, match=r"Try PORT=\d+ make run\.$"):
        bind("127.0.0.1", port)
    close(taken)


def test_on_macos_the_port_of_airplay_is_named() -> None:
    error = OSError(errno.EADDRINUSE, "Address already in use")
    assert "AirPlay Receiver" in why("127.0.0.1", 5000, error, platform="darwin")
    assert "AirPlay" not in why("127.0.0.1", 5000, error, platform="linux")
    assert "AirPlay" not in why("127.0.0.1", 5001, error, platform="darwin")


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EACCES, "permission denied"), (errno.EADDRNOTAVAIL, "not an address of this machine")],
)
def test_each_cause_has_its_own_advice(number: int, says: str) -> None:
    assert f"Cannot listen on [::1]:80: {says}. " in why("::1", 80, OSError(number, "x"))


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(AddressUnavailable, match=r"no such host\. HOST takes addresses"):
        bind("no-such-host.invalid", 0)
