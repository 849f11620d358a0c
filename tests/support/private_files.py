"""Files that another account of the machine may reach."""

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

NOBODY = pwd.getpwnam("nobody")


def as_nobody(*command: str) -> subprocess.Popen[str]:
    """Start a program as another user of this machine."""
    return subprocess.Popen(
        command,
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=[],
        start_new_session=True,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@contextmanager
def locked_by_nobody(path: Path, *options: str) -> Iterator[int]:
    """Lock a file as another user with flock(1); yields the process id."""
    with as_nobody(
        "flock", *options, str(path), "sh", "-c", "echo locked; exec sleep 60"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process.pid
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Make an empty folder that every user can enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="freshet-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
