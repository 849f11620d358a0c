"""Pieces of Python that run in processes of their own, forked from one that has imported a lot."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.server_processes import NOTHING

SECONDS = 60.0


class Script:
    """A running piece of Python; `input` and `output` are its standard streams."""

    def __init__(
        self, fork_server: ForkServer, folder: Path, code: str, *arguments: str, env: dict[str, str]
    ) -> None:
        program, source, out = (folder / name for name in ("script.py", "source", "out"))
        program.write_text(code, encoding="utf-8")
        for each in (source, out):
            os.mkfifo(each)
        self.errors = folder / "errors"
        self.process: ForkedProcess = fork_server.start(
            str(program), arguments, env, out, self.errors, source
        )
        self.input: IO[str] = source.open("w")  # waits for the process
        self.output: IO[str] = out.open()

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        self.input.write(line + "\n")
        self.input.flush()

    def finish(self, seconds: float = SECONDS) -> str:
        """End its input and wait for its end; returns the rest of its output."""
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        rest = self.output.read()
        self.output.close()
        self.process.wait(seconds)
        return rest


StartScript = Callable[..., Script]


@pytest.fixture
def start_script(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartScript]:
    """Return a function that starts `code` with the arguments; in the end all are killed."""
    scripts: list[Script] = []

    def start(code: str, *arguments: str, env: dict[str, str] = NOTHING) -> Script:
        folder = tmp_path_factory.mktemp("script")
        scripts.append(Script(fork_server, folder, code, *arguments, env=env))
        return scripts[-1]

    yield start
    for script in scripts:
        script.process.kill()
        if not script.output.closed:
            script.finish()


RunScript = Callable[..., str]


@pytest.fixture
def run_script(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> RunScript:
    """Return a function that runs `code` to its end, which must be a good one, for its output."""

    def run(code: str, *arguments: str, env: dict[str, str] = NOTHING) -> str:
        folder = tmp_path_factory.mktemp("script")
        program, out, errors = (folder / name for name in ("script.py", "out", "errors"))
        program.write_text(code, encoding="utf-8")
        ended = fork_server.start(str(program), arguments, env, out, errors).wait(SECONDS)
        assert ended == 0, errors.read_text()
        return out.read_text(encoding="utf-8")

    return run
