"""Starts the program in processes forked from one that has already imported it.

This saves a second of imports for each of the hundred processes that the tests start.

Run as a program it is that one process: it reads orders from its input, one JSON object a line,
and answers each with the number of the process that carries it out.
"""

import asyncio
import gc
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from importlib import import_module
from itertools import count
from multiprocessing import resource_tracker, util
from pathlib import Path
from typing import Any

COMMANDS = ("demo", "doctor", "init", "login", "postgres", "sync")
PROGRAMS = (
    "server.cli",
    *(f"server.commands.{name}" for name in COMMANDS),
    "server.process.worker",
    "server.standin.server",
    "argparse",
)
LATER = ("alembic.command", "alembic.context", "alembic.op", "mako.template", "uvloop")
STEP = 0.005  # seconds


class ForkedProcess:
    """A forked process, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid = pid
        self._status = status

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        try:
            return int(self._status.read_text())
        except FileNotFoundError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(STEP)
        return code

    def send_signal(self, sign: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sign)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Starts the program in `tree`, as `python -W error` would; `folder` is for its own files."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree = tree
        self._folder = folder
        self._numbers = count()
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(tree)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        env: dict[str, str],
        out: Path | str = os.devnull,
        errors: Path | str | None = None,
        source: Path | str = os.devnull,
        state: str = "",
    ) -> ForkedProcess:
        """Run a file or a module by name; `errors` defaults to `out`.

        It reads `source`, which may be a FIFO: the process then waits for one who writes. `state`
        is a program that leaves behind what the process inherits.
        """
        status = self._folder / str(next(self._numbers))
        order = {
            "program": program,
            "arguments": list(arguments),
            "env": env,
            "source": str(source),
            "out": str(out),
            "errors": str(errors or out),
            "status": str(status),
            "state": state,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return ForkedProcess(int(self._process.stdout.readline()), status)

    def close(self) -> None:
        self._process.communicate(timeout=60)


def main() -> None:
    """Take orders until the input ends; a forked process returns from here as the program."""
    sys.path[0] = sys.argv[1]
    for name in PROGRAMS + LATER:
        import_module(name)
    gc.freeze()  # no child looks for garbage in what is imported, and copies its pages in doing so
    answers = os.dup(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if os.fork():
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if pid := os.fork():
            os.write(answers, b"%d\n" % pid)
            os.close(answers)  # or the process that forks could not end before all that it forked
            _tell_the_end(pid, Path(order["status"]))
        os.close(answers)
        _become(order)
        return


def _tell_the_end(pid: int, status: Path) -> None:
    """Wait for the process, which only its parent can, and write its exit code."""
    for descriptor in range(3):
        os.close(descriptor)
    _, ended = os.waitpid(pid, 0)
    new = status.with_suffix(".new")
    new.write_text(str(os.waitstatus_to_exitcode(ended)))
    new.rename(status)
    os._exit(0)


def _become(order: dict[str, Any]) -> None:
    os.setsid()
    appended = os.O_RDWR | os.O_CREAT | os.O_APPEND
    for descriptor, file, flags in (
        (0, order["source"], os.O_RDONLY),
        (1, order["out"], appended),
        (2, order["errors"], appended),
    ):
        opened = os.open(file, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(order["env"])
    util.spawnv_passfds = _fork_instead_of_spawning
    exec(order["state"], {})
    program = order["program"]
    sys.argv = [program, *order["arguments"]]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


_spawn = util.spawnv_passfds


def _fork_instead_of_spawning(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """Fork a child that multiprocessing spawns, with as little of its parent as a new program has.

    It has imported all that it needs. Servers that are fresh interpreters spawn fresh ones.
    """
    code = os.fsdecode(args[-2])
    if not code.startswith("from multiprocessing.spawn import spawn_main"):
        return _spawn(path, args, passfds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
        if pid := os.fork():
            return pid
    ended = 1
    try:
        _forget_the_parent({0, 1, 2, *passfds})
        sys.argv = ["-c", "--multiprocessing-fork"]
        Context().run(exec, code, {"__name__": "__main__"})
    except SystemExit as error:
        ended = int(error.code or 0)
    finally:
        logging.shutdown()  # of all that runs at exit; the rest is the parent's
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(ended)


def _forget_the_parent(descriptors: set[int]) -> None:
    """Keep these descriptors alone, and no handler of a signal; as exec does."""
    signal.set_wakeup_fd(-1)
    for sign in signal.valid_signals():
        if callable(signal.getsignal(sign)):
            default = signal.default_int_handler if sign == signal.SIGINT else signal.SIG_DFL
            signal.signal(sign, default)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in descriptors:
            with suppress(OSError):
                os.close(int(name))
    asyncio._set_running_loop(None)
    resource_tracker._resource_tracker._pid = None  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
