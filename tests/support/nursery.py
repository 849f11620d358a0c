"""The process that the workers are forked from, and the program that asks it for one.

`nursery.py NUMBER FOLDER ARGUMENTS…` imports what pytest would collect with these arguments, then
forks a worker for each that connects to the socket with this number, until its input ends. Beside,
it makes the cluster that the workers copy, in FOLDER.

`nursery.py PATH -u -c CODE` takes the place of a worker: it hands its input and output over to one
that is forked and runs CODE, and ends with it.
"""

import os
import select
import signal
import socket
import sys

STREAMS = 3


def stand_in(address: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker ends by it, and this one then
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [sys.argv[-1].encode()], range(STREAMS))
        for stream in range(STREAMS):
            os.close(stream)
        connection.recv(1)


def serve(listener: socket.socket) -> tuple[str, list[int]] | None:
    """Fork whenever asked; returns in each worker its code and streams, and None at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([0, listener.fileno()], [], [])
        if 0 in ready:
            return None
        connection, _ = listener.accept()
        code, streams, _, _ = socket.recv_fds(connection, 4096, STREAMS)
        if not os.fork():
            connection.detach()  # it ends with the worker
            return code.decode(), streams
        connection.close()
        for stream in streams:
            os.close(stream)


def become(streams: list[int]) -> None:
    """Take over the streams, and be as a new interpreter with nothing but `-c CODE`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.argv = ["-c"]
    sys.modules["__main__"] = type(sys)("__main__")


def make_cluster(folder: str) -> None:
    """Begin to make what is needed soon, while there is a core for it."""
    if os.fork():
        return
    try:
        from pathlib import Path

        from tests.support import databases

        databases.make_cluster(Path(folder))
    finally:
        os._exit(0)  # a worker that finds none makes it


def import_tests(folder: str, arguments: list[str]) -> None:
    """Import with pytest, whose warnings are errors and which rewrites asserts.

    What cannot be imported is the matter of the workers, who will try again.
    """
    import gc
    from contextlib import redirect_stdout, suppress
    from importlib import import_module
    from io import StringIO
    from pathlib import Path

    import pytest

    class Importer:
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection(self, session: pytest.Session) -> bool:
            config = session.config
            files: list[Path] = []
            for argument in config.args:
                path = Path(config.invocation_params.dir, argument.partition("::")[0])
                files += sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
            if any(config.rootpath / "tests" / "unit" not in file.parents for file in files):
                make_cluster(folder)
            for file in files:
                name = ".".join(file.relative_to(config.rootpath).with_suffix("").parts)
                with suppress(BaseException):
                    import_module(name)
            return True

    with redirect_stdout(StringIO()):
        pytest.main(arguments, [Importer()])
    gc.freeze()  # no worker looks for garbage in what is imported, and copies its pages in doing so


if __name__ == "__main__":
    number, *rest = sys.argv[1:]
    if not number.isdecimal():
        stand_in(number)
    else:
        sys.path[0] = os.getcwd()  # as `python -m pytest` has it
        import_tests(rest[0], rest[1:])
        with socket.socket(fileno=int(number)) as listener:
            worker = serve(listener)
        if worker is not None:
            become(worker[1])
            exec(worker[0], sys.modules["__main__"].__dict__)
