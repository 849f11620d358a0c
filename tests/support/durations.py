"""Writes how long each test takes to build/durations.json, which CI keeps.

A run adds its tests to the file, so that it covers both parts of `make test`.
"""

import json
import os
import resource
import time
from collections.abc import Generator
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "build" / "durations.json"
PHASES = ("setup", "call", "teardown")


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Stopwatch:
    """Measures each phase of each test, in the process that runs it."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        used = cpu_seconds()
        before = getattr(self, "_before", 0.0)
        self._before = used
        report.cpu = used - before  # type: ignore[attr-defined]  # xdist hands all fields over
        return report


class Durations:
    """Gathers the measurements of all workers, and writes them at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tests: dict[str, dict[str, float | str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.setdefault(report.nodeid, {})
        test[report.when] = round(report.duration, 4)
        test["cpu"] = round(float(test.get("cpu", 0.0)) + getattr(report, "cpu", 0.0), 4)
        test["worker"] = getattr(report, "worker_id", "")
        if report.when == "setup":
            test["start"] = round(report.start, 3)

    def pytest_sessionfinish(self) -> None:
        tests = json.loads(self._file.read_text()) if self._file.exists() else {}
        tests.update(self._tests)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(f".{os.getpid()}")
        lines = (f"{json.dumps(name)}: {json.dumps(test)}" for name, test in sorted(tests.items()))
        new.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        new.replace(self._file)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Stopwatch())
    runs = not (config.option.collectonly or config.option.setupplan)
    if runs and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(FILE))
