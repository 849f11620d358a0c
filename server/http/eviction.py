"""Which connections go first when their time is up, or when others need their place."""

from collections import Counter
from collections.abc import Callable, Mapping

from server.http.connections.connection import Connection
from server.http.handoff import HandoffServer


class Eviction:
    """Closes `connections` of the lane, by `close`, and those that `tornado` has."""

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
        """Close up to `most` of the lane that have been silent since a second, and tell how many.

        Of those that have been silent equally long, the ones of the network with the most go first.
        Those that have answers to take are none of them: the backlog sees to these.
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
        """Close up to `count` connections that are not being answered, and tell how many.

        The first are those that have got their last answer, which are all closed. Those that have
        been silent the longest come next, part of a head or of a body counting as silence, and then
        clients that take nothing of their answers.
        """
        tornado = self._tornado
        closed = len(tornado.linger)
        tornado.linger.close()
        if closed < count:
            silent = self.close_silent(second - 1, count - closed)
            for _ in range(silent):
                tornado.backlog.tell("descriptors")
            closed += silent
        for make_room in (tornado.make_room, tornado.backlog.make_room):
            if closed < count:
                closed += make_room(count - closed)
        return closed
