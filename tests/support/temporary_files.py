"""Removes the files of tests that have passed: tens of thousands, most of them of PostgreSQL."""

import subprocess

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let each worker remove its own, beside others; pytest would do so slowly, and in one."""
    if exitstatus == pytest.ExitCode.OK and hasattr(session.config, "workerinput"):
        subprocess.run(["rm", "-rf", session.config.option.basetemp], check=False)
