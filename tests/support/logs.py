"""Log lines that a test reads, with the logging configuration restored afterwards."""

import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import structlog

from server.observability.log import configure

LOGGERS = ("", "asyncio", "alembic", "sqlalchemy", "py.warnings", "tornado.general")


def pytest_configure() -> None:
    """Show tracebacks plainly: coloured ones with all variables take half a second each."""
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """What `configure` changes is changed back."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], structlog.get_config()
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def lines() -> Callable[[], list[dict[str, Any]]]:
    """The lines logged so far, each read as JSON."""
    stream = io.StringIO()
    configure("json", "info", stream)
    return lambda: [orjson.loads(line) for line in stream.getvalue().split("\n")[:-1]]
