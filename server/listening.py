"""Sockets to listen on: of one process alone, or of several that share an address.

Source: man7.org/linux/man-pages/man7/socket.7.html (SO_REUSEPORT).
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tornado.netutil import bind_sockets

from server.errors import AddressUnavailable

BACKLOG = 1024  # connections that wait to be accepted


def bind(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Listening sockets, on a free port if `port` is 0. Raises AddressUnavailable.

    `shared` lets other processes of this user listen there, too; the kernel deals connections out.
    """
    try:
        return bind_sockets(port, host, backlog=BACKLOG, reuse_port=shared)
    except (OSError, UnicodeError) as error:
        raise AddressUnavailable(
            f"{host}:{port} cannot be listened on: {error}. If another Freshet runs there, "
            "stop it, or take another port with -p"
        ) from error


@contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Hold an address for processes that will share it; the port, a free one if `port` is 0.

    Raises AddressUnavailable if anybody listens there already.
    """
    alone = bind(host, port)
    places = [(each.family, each.getsockname()) for each in alone]
    for each in alone:
        each.close()
    with ExitStack() as held:
        for family, address in places:
            place = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                place.setsockopt(socket.SOL_SOCKET, option, 1)
            if family == socket.AF_INET6:
                place.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                place.bind(address)
            except OSError as error:
                raise AddressUnavailable(f"{host}:{address[1]} has just been taken") from error
        yield places[0][1][1]
