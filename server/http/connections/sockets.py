"""Listening sockets: of one process alone, or of several that share an address.

Source: man7.org/linux/man-pages/man7/socket.7.html (SO_REUSEPORT), ipv6.7.html (IPV6_V6ONLY).
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from server.config.addresses import is_loopback
from server.errors import AddressUnavailable

BACKLOG = 1024  # connections that may wait to be accepted
EVERYWHERE = ("*", "::", "[::]")  # all addresses of both families
ALL_IPV4 = "0.0.0.0"  # noqa: S104 - compared with, not listened on
TRIES = 5  # to find a port that is free on every address
NEARBY = 20  # ports that are tried for the hint
AIRPLAY = (5000, 7000)  # used by macOS


def bind(
    hosts: str, port: int, *, shared: bool = False, listen: bool = True
) -> list[socket.socket]:
    """Return listening sockets for a comma-separated list of addresses or names.

    `*` and `::` mean all addresses of both families. If `port` is 0, a free port is chosen, the
    same for all. `shared` lets other processes of this user listen there too; the kernel then
    distributes connections among the sockets that listen. Without `listen` they are only bound.
    Raises AddressUnavailable.
    """
    for _ in range(TRIES if port == 0 else 1):
        bound: list[socket.socket] = []
        try:
            for host in split(hosts):
                chosen = bound[0].getsockname()[1] if bound else port
                bound += _bind(host, chosen, shared, listen)
            return bound
        except (OSError, UnicodeError) as error:
            for each in bound:
                each.close()
            failure = AddressUnavailable(why(host, chosen, error))
    raise failure


def split(hosts: str) -> list[str]:
    """Return the addresses of a HOST, without duplicates and those that another one covers."""
    several = list(dict.fromkeys(part.strip() for part in hosts.split(",") if part.strip()))
    if set(several) & set(EVERYWHERE):
        return ["*"]
    if ALL_IPV4 in several:
        return [each for each in several if each == ALL_IPV4 or ":" in each]
    return several


def is_local(host: str) -> bool:
    """Return whether only programs on this machine can reach an address."""
    return host == "localhost" or is_loopback(host)


def _bind(host: str, port: int, shared: bool, listen: bool = True) -> list[socket.socket]:
    """Listen on every address of one host; if one of them fails, close the others."""
    bound: list[socket.socket] = []
    with ExitStack() as undo:
        for family, place in _places(host, port):
            one = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            _set_options(one, shared)
            chosen = bound[0].getsockname()[1] if bound else port
            try:
                one.bind((place[0], chosen, *place[2:]))
            except OSError as error:
                if (host, place[0], error.errno) != ("localhost", "::1", errno.EADDRNOTAVAIL):
                    raise
                one.close()  # a container may resolve the name to IPv6 and have none
                continue
            if listen:
                one.listen(BACKLOG)
            one.setblocking(False)
            bound.append(one)
        undo.pop_all()
    return bound


def _places(host: str, port: int) -> list[tuple[int, Any]]:
    """Return (family, socket address) of each address of a host, IPv4 first."""
    address = None if host == "*" else host.strip("[]")
    family = socket.AF_UNSPEC if _has_ipv6() else socket.AF_INET
    found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    places = {(each[0], each[4]) for each in found}
    if host == "localhost":  # macOS adds fe80::1%lo0, which triggers its firewall's dialog
        places = {each for each in places if not str(each[1][0]).startswith("fe80:")}
    return sorted(places)


def _set_options(one: socket.socket, shared: bool) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if one.family == socket.AF_INET6:  # IPv4 has its own socket
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _has_ipv6() -> bool:
    """Return whether programs can listen on IPv6; some systems switch it off."""
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as trial:
        trial.bind(("::", 0))
        return True
    return False


def url_of(hosts: str, port: int) -> str:
    """Return a URL at which a browser on this machine reaches the first of `hosts`."""
    first = split(hosts)[0].strip("[]")
    if first in (*EVERYWHERE, ALL_IPV4):
        first = "127.0.0.1"
    return f"http://{f'[{first}]' if ':' in first else first}:{port}"


def why(host: str, port: int, error: Exception, platform: str = sys.platform) -> str:
    """Return why listening on an address failed, and what to do, as sentences."""
    shown = f"[{host}]" if ":" in host else host
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        reason, hint = "address in use", f"Try {_another_port(host, port)}."
        if platform == "darwin" and port in AIRPLAY:
            hint += (
                " macOS uses this port for AirPlay Receiver (System Settings, General, AirDrop &"
                " Handoff)."
            )
    elif number == errno.EACCES:
        reason = "permission denied"
        hint = f"Ports below 1024 are for root alone: try {_command(8080)}."
    elif number == errno.EADDRNOTAVAIL:
        reason = "not an address of this machine"
        hint = "HOST=* listens on all of its addresses."
    elif isinstance(error, socket.gaierror | UnicodeError):
        reason, hint = "no such host", "HOST takes addresses such as 127.0.0.1, 0.0.0.0 or ::1."
    else:
        reason, hint = str(error), "Check HOST and PORT."
    return f"Cannot listen on {shown}:{port}: {reason}. {hint}"


def _another_port(host: str, port: int) -> str:
    """Return the command that uses the next free port."""
    for other in range(port + 1, min(port + NEARBY, 65536)):
        with suppress(OSError, UnicodeError):
            for each in _bind(host, other, shared=False):
                each.close()
            return _command(other)
    return "another port"


def _command(port: int) -> str:
    """Return how to set the port: for make, which takes no options, or for manage.py."""
    return f"PORT={port} make run" if "MAKELEVEL" in os.environ else f"-p {port}, or PORT={port}"


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold an address for processes that will share it; yield the port.

    If `port` is 0, it is a free one. Raises AddressUnavailable if another program listens there.
    """
    alone = bind(host, port)
    places = [(each.family, each.getsockname()) for each in alone]
    for each in alone:
        each.close()
    with ExitStack() as held:
        for family, address in places:
            place = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            _set_options(place, shared=True)
            try:
                place.bind(address)
            except OSError as error:
                raise AddressUnavailable(why(host, address[1], error)) from error
        yield places[0][1][1]
