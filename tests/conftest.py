"""Hooks of the test run; the fixtures are in `tests/support`."""

import gc
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.durations",
    "tests.support.forked_workers",
    "tests.support.temporary_files",
]
FIXTURES = [
    "tests.support.login_browser",
    "tests.support.cache_rig",
    "tests.support.catalog_server",
    "tests.support.clock",
    "tests.support.databases",
    "tests.support.event_streams",
    "tests.support.proxies",
    "tests.support.lane_and_tornado",
    "tests.support.locks",
    "tests.support.logs",
    "tests.support.loops",
    "tests.support.private_files",
    "tests.support.scripts",
    "tests.support.server_processes",
    "tests.support.servers",
    "tests.support.settings",
    "tests.support.sockets",
    "tests.support.spotify_client",
    "tests.support.spotify_http",
    "tests.support.standins",
    "tests.support.statements",
    "tests.support.sync_rig",
    "tests.support.templates",
    "tests.support.tokens",
    "tests.support.waiting",
]


SYSTEM = Path(__file__).with_name("system")


def pytest_configure(config: pytest.Config) -> None:
    """Until all is imported nothing becomes garbage, and afterwards that is never looked at."""
    gc.disable()
    if config.getoption("dist", "no") != "no" and not config.option.collectonly:
        return  # others run the tests
    with warnings.catch_warnings(action="error"):
        for name in FIXTURES:
            config.pluginmanager.import_plugin(name)
        import hypothesis

    hypothesis.settings.register_profile("noisy", deadline=None)  # what takes long may have waited
    hypothesis.settings.load_profile("noisy")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of what takes long, so that no run ends with it.

    A folder of system tests is one share, as are the slow tests of another file: they have servers,
    a browser or large data in common. xdist's worksteal gives each worker an equal part of the
    list, in order, and takes from the end of a part what it gives to another.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    groups: dict[Path, list[pytest.Item]] = {}
    others = []
    for item in items:
        if SYSTEM in item.path.parents:
            groups.setdefault(item.path.parent, []).append(item)
        elif item.get_closest_marker("slow"):
            groups.setdefault(item.path, []).append(item)
        else:
            others.append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(shares, key=len).extend(group)
    size = len(items) // workers
    for share in shares:
        room = max(0, size - len(share))
        share += others[:room]
        others = others[room:]
    items[:] = [item for share in shares for item in share] + others


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # the servers of tests are short-lived, but have many objects
    gc.enable()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell of screenshots that failed. In CI no test may be skipped: what it needs is installed."""
    told = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    missing = [
        f"{each.nodeid}: {reason}"
        for each in told
        for kind, reason in each.user_properties
        if kind == "no screenshot"
    ]
    if missing:
        terminalreporter.section("screenshots that could not be taken")
        terminalreporter.line("\n".join(missing))
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("CI") and skipped:
        terminalreporter.section("skips that CI does not expect")
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
