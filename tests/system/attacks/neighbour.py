"""A well-behaved client in a process of its own: it asks every 10 ms, and notes how long it waits.

`python -m tests.system.attacks.neighbour PORT OUTPUT` asks a server for a warm answer. With port 0
it asks a process of its own that echoes: the control, which tells how busy the machine is. Each
line of OUTPUT is the moment of a request (time.monotonic) and its seconds; -1 stands for a failure.
"""

import os
import socket
import sys
import time

PERIOD = 0.01  # seconds
PATIENCE = 10.0
REQUEST = b"GET /api/artists/ HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n"
ECHOED = 8192  # bytes, about as many as that answer has
END = b"\r\n\r\n"


def answer(connection: socket.socket) -> None:
    """Read one whole answer. Raises OSError, or ValueError unless it is 200."""
    got = b""
    while END not in got:
        got += _some(connection)
    head, _, body = got.partition(END)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(head.decode("latin-1"))
    left = int(head.split(b"\r\nContent-Length: ")[1].split(b"\r\n")[0]) - len(body)
    while left:
        left -= len(_some(connection))


def _some(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    if not chunk:
        raise ConnectionResetError("closed")
    return chunk


def echo() -> int:
    """Fork a process that answers whatever it gets; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    if os.fork():
        listening.close()
        return port
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ECHOED
    connection, _ = listening.accept()
    while connection.recv(4096):
        connection.sendall(head + bytes(ECHOED))
    os._exit(0)


def main() -> None:
    port = int(sys.argv[1]) or echo()
    connection: socket.socket | None = None
    due = time.monotonic()
    with open(sys.argv[2], "w", buffering=1, encoding="ascii") as output:
        while True:
            due = max(due + PERIOD, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(REQUEST)
                answer(connection)
            except (OSError, ValueError) as error:
                print(began, -1, repr(error), file=output)
                if connection is not None:
                    connection.close()
                connection = None
            else:
                print(began, time.monotonic() - began, file=output)


if __name__ == "__main__":
    main()
