"""Configures logging for Freshet, Tornado, SQLAlchemy and Python's warnings alike.

Each line is one JSON object on stdout (on a terminal, a coloured line) with `timestamp`, `level`,
`event` and fields. `scrub` masks secrets in all of them.
"""

import io
import logging
import re
import sys
from typing import Any, Literal, TextIO, cast

import orjson
import structlog

from server.observability.log_handler import LineHandler
from server.observability.log_writer import LogWriter
from server.observability.scrubber import EventDict, scrub

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MULTILINE = ("exception", "stack")
SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)


def _to_json(event: EventDict, **_: Any) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps({**first, **event}).decode()


def _on_one_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, which could forge lines or control a terminal.

    JSON needs no such step because it escapes them.
    """
    for name, value in event.items():
        if isinstance(value, str):
            text = value if name in MULTILINE else value.replace("\n", r"\n")
            event[name] = CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)
    return event


def configure(
    form: Literal["json", "console"] | None = None,
    level: str = "info",
    stream: TextIO | None = None,
    process: int | None = None,
) -> None:
    """Send the events of all loggers of this process to `stream`.

    By default that is stdout, written by a thread, so that logging never blocks. With `form` None,
    terminals get console lines and anything else JSON. `level` is the lowest level that is logged.
    `process` is this process's number among several; it is added to each line.
    """
    is_terminal = (stream or sys.stdout).isatty()
    form = form or ("console" if is_terminal else "json")
    stream = stream or _unblocked(sys.stdout, form)
    handler = LineHandler(stream, process, takes_json=form == "json")
    handler.setFormatter(_formatter(form, stream, [] if process is None else [_naming(process)]))
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, LineHandler):
            former.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _unblocked(stream: TextIO, form: str) -> TextIO:
    """Return a non-blocking writer to the stream's descriptor, or the stream if it has none."""
    try:
        stream.flush()
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream
    writer = LogWriter(descriptor, "utf-8" if form == "json" else stream.encoding)
    return cast(TextIO, writer)


def _naming(process: int) -> Any:
    def name_the_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return name_the_process


def _formatter(form: str, stream: TextIO, first: list[Any]) -> logging.Formatter:
    if isinstance(stream, io.TextIOWrapper):
        if form == "json":
            stream.reconfigure(encoding="utf-8")  # which JSON requires, whatever the locale
        else:
            stream.reconfigure(errors="backslashreplace")
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_name_the_library, structlog.stdlib.ExtraAdder(), *SHARED],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *first,
            scrub,
            *_renderers(form, stream),
        ],
    )


def _renderers(form: str, stream: TextIO) -> list[Any]:
    if form == "json":
        return [structlog.processors.JSONRenderer(serializer=_to_json)]
    plain = structlog.dev.plain_traceback  # text, so that the scrubber can read it
    return [
        _on_one_line,
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain),
    ]


def _name_the_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the name of the library that logged, because its event is a sentence and no name."""
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event
