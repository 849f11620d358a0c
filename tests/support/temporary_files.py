"""Removes the files of tests that have passed: tens of thousands, most of them of PostgreSQL."""

import subprocess

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let each worker remove its own, beside others; pytest would do so slowly, and in one.

    The cluster that all workers have copied is removed at the very end.
    """
    if not hasattr(session.config, "workerinput"):
        folders: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
        remove = str(folders.getbasetemp() / "postgres")
    elif exitstatus == pytest.ExitCode.OK:
        remove = session.config.option.basetemp
    else:
        return
    subprocess.run(["rm", "-rf", remove], check=False)
