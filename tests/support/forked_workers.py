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

    def __init__(self, config: pytest.Config) -> None:
        self._folder = Path(mkdtemp(prefix="freshet-"))
        address = str(self._folder / "socket")
        program = [sys.executable, str(NURSERY)]
        call = config.invocation_params
        only_collect = ["-n", "0", "--collect-only", "--basetemp", str(self._folder / "tests")]
        shared = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [*program, str(listener.fileno()), shared, *call.args, *only_collect],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                cwd=call.dir,
            )
        self.python = shlex.join([sys.executable, "-I", "-S", str(NURSERY), address])

    def close(self) -> None:
        self._process.communicate(timeout=60)
        shutil.rmtree(self._folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    ours = [spec for spec in specs if spec.popen and not (spec.python or spec.chdir)]
    if sys.platform != "linux" or not ours:
        return
    nursery = Nursery(config)
    config.add_cleanup(nursery.close)
    for spec in ours:
        spec.python = nursery.python
