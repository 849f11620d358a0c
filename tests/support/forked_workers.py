"""Lets xdist's workers be forked from one process that has imported all tests.

To import them takes each worker longer than to collect them, and the first time asserts are
rewritten besides.
"""

import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

NURSERY = Path(__file__).with_name("nursery.py")


class Nursery:
    """The process that the workers are forked from."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self._folder = Path(mkdtemp(prefix="freshet-"))
        address = str(self._folder / "socket")
        only_collect = ["-n", "0", "--collect-only", "--basetemp", str(self._folder / "tests")]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, NURSERY, str(listener.fileno()), *arguments, *only_collect],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                cwd=folder,
            )
        self.python = shlex.join([sys.executable, "-I", "-S", str(NURSERY), address])

    def close(self) -> None:
        self._process.communicate(timeout=10)
        shutil.rmtree(self._folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    ours = [spec for spec in specs if spec.popen and not (spec.python or spec.chdir)]
    if sys.platform != "linux" or not ours:
        return
    folder = config.invocation_params.dir
    nursery = Nursery([str(each) for each in config.invocation_params.args], folder)
    config.add_cleanup(nursery.close)
    for spec in ours:
        spec.python = nursery.python
