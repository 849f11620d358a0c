"""Connections with unknown requests share the turns of the loop with those whose are known."""

import asyncio
import socket

import pytest

from server.http.connections.connection import Connection
from server.http.connections.read_budget import ReadBudget


def connect(count: int) -> tuple[list[Connection], list[socket.socket]]:
    """So many connections that send nothing, and their sockets."""
    ours, theirs = zip(*(socket.socketpair() for _ in range(count)), strict=True)
    return [Connection(each, None, "", 0) for each in ours], [*ours, *theirs]


@pytest.mark.gen_test
async def test_beyond_its_portion_a_turn_of_the_loop_reads_no_unknown_request() -> None:
    read: list[Connection] = []
    turns: list[int] = []

    def take(connection: Connection) -> None:
        read.append(connection)
        portions.spend()

    waiting, sockets = connect(9)
    closed = waiting.pop(4)
    portions = ReadBudget({each.descriptor: each for each in waiting}, take, most=3)
    for _ in range(3):
        assert not portions.is_spent
        portions.spend()
    assert portions.is_spent
    for each in (*waiting[:4], closed, *waiting[4:]):
        portions.defer(each)
    while len(read) < len(waiting):
        turns.append(len(read))
        await asyncio.sleep(0)
    assert read == waiting
    assert turns[-2:] == [3, 6]
    await asyncio.sleep(0)
    assert not portions.is_spent
    for each in waiting:
        asyncio.get_running_loop().remove_reader(each.descriptor)
    for wire in sockets:
        wire.close()
