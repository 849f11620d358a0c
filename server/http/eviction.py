"""Which connections are closed first, when their time is up or when others need room."""

from collections import Counter
from collections.abc import Callable, Mapping

from server.http.connections.connection import Connection
from server.http.handoff import HandoffServer


class Eviction:
    """Closes connections of the fast lane, by `close`, and those that `tornado` has."""

    def __init__(
        self,
        connections: Mapping[int, Connection],
        tornado: HandoffServer,
        close: Callable[[Connection], None],
    ) -> None:
        self._connections = connections
        self._tornado = tornado
        self._close = close

    def close_silent(self, since: int, most: int) -> int:
        """Close up to `most` connections of the fast lane, silent since second `since` or longer.

        The longest silent are closed first, and among equals those of the network with the most.
        Connections with unsent bytes are left to the backlog. Returns how many were closed.
        """
        silent = [
            each for each in self._connections.values() if each.seen <= since and not each.unsent
        ]
        count = Counter(each.network for each in silent)
        chosen = sorted(silent, key=lambda each: (each.seen, -count[each.network]))[:most]
        for each in chosen:
            self._close(each)
        return len(chosen)

    def make_room(self, second: int, count: int) -> int:
        """Close up to `count` connections that are not being answered; return how many were closed.

        The order is: lingering connections, which are all closed; connections that have been silent
        the longest, where part of a head or body counts as silence; clients that do not read their
        responses. `second` is the current tick.
        """
        tornado = self._tornado
        closed = len(tornado.linger)
        tornado.linger.close()
        if closed < count:
            silent = self.close_silent(second - 1, count - closed)
            for _ in range(silent):
                tornado.backlog.on_close("descriptors")
            closed += silent
        for make_room in (tornado.make_room, tornado.backlog.make_room):
            if closed < count:
                closed += make_room(count - closed)
        return closed
