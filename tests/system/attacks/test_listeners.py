"""Event streams without number."""

import socket

from server.config.settings import Settings
from tests.support.newcomers import Newcomers, few_descriptors
from tests.system.attacks.siege import Siege


def listen(connection: socket.socket) -> None:
    """Raises ValueError if there is no room for another stream."""
    connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: test\r\n\r\n")
    if not (head := connection.recv(1000)).startswith(b"HTTP/1.1 200 "):
        raise ValueError(head.decode("latin-1"))


def test_event_streams_make_room_when_descriptors_run_out(siege: Siege) -> None:
    count, seconds = (1150, 30) if siege.long else (400, 0.8)
    with few_descriptors(siege, count - 50), Newcomers(siege.server.port) as newcomers:
        siege.withstand("crowds:listeners", seconds, count=count, behind=0)
    assert newcomers.answered
    assert newcomers.failed == []


def test_thousands_of_listeners_of_one_client_leave_room_for_others(siege: Siege) -> None:
    count, seconds = (10_000, 30) if siege.long else (600, 0.8)
    with Newcomers(siege.server.port, listen) as others:
        outcome = siege.withstand("crowds:listeners", seconds, count=count)
    assert others.answered
    assert others.failed == []
    assert outcome.told["refused"]
    assert 0 < outcome.told["served"] <= Settings.model_fields["events_per_client"].default
