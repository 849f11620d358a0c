"""One pipe for every log line: ours, Tornado's, SQLAlchemy's and Python's warnings.

Each line is one JSON object on stdout (or a coloured line on a terminal) with `timestamp`, `level`,
`event` and fields. Secrets are masked by `scrub`, whoever logged them.
"""

import io
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import date
from typing import Any, Literal, TextIO

import orjson
import structlog

MASK = "********"
DEEPEST = 20  # levels of objects in objects that are told
SECRET_FIELDS = frozenset(
    "access_token refresh_token token client_secret secret password authorization cookie "
    "set_cookie code code_verifier code_challenge state".split()
)
SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)(?=\S*[\d=])[\w.~+/=-]{8,}"
    # names that nothing innocent follows
    r"|(?P<name>\b(?:access_token|refresh_token|client_secret|code_verifier|password)"
    r"\\?[\"']?\s*[=:]\s*\\?[\"']?"
    # words of every day, which mean a secret in a query or as text in JSON
    r"|(?:\b|%3F|%26)(?:code|state|token|secret)(?:=|%3D|\\?[\"']\s*:\s*\\?[\"']))"
    r"[^\s&\"'\\,;})]+"
    r"|(?P<url>\w://[^\s:/@]*:)[^\s\"',]+(?=@)"
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MULTILINE = ("exception", "stack")
SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)

EventDict = MutableMapping[str, Any]


def scrub_text(text: str) -> str:
    """Mask tokens, codes, states and passwords inside a string."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates cannot be sent
    return SECRET_TEXT.sub(
        lambda match: (match["scheme"] or match["name"] or match["url"]) + MASK, text
    )


def scrub(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Mask secrets by field name and by form, however deep they lie (a structlog processor).

    What comes out is made of JSON's types alone.
    """
    return {key: _scrub_value(_is_secret(key), value, 0) for key, value in event.items()}


def _is_secret(key: str) -> bool:
    return key.lower().replace("-", "_") in SECRET_FIELDS


def _scrub_value(secret: bool, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        named = ((_shown(name), inner) for name, inner in value.items())
        return {
            scrub_text(name): _scrub_value(secret or _is_secret(name), inner, depth + 1)
            for name, inner in named
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrub_value(secret, inner, depth + 1) for inner in value]
    return MASK if secret else scrub_text(_shown(value))


def _shown(value: object) -> str:
    """A value in words, even one that cannot say what it is."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        if isinstance(value, date):
            return value.isoformat().replace("+00:00", "Z")  # as the timestamps are
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _to_json(event: EventDict, **_: Any) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps({**first, **event}).decode()


def _on_one_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Controls could forge lines or steer a terminal; JSON escapes them by itself."""
    for name, value in event.items():
        if isinstance(value, str):
            text = value if name in MULTILINE else value.replace("\n", r"\n")
            event[name] = CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    """Loses a line rather than the program, and says so where that is possible."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The stream is closed, or a library's words do not fit its form."""
        reason = scrub_text(repr(sys.exc_info()[1]))
        line = {"level": "error", "event": "log_line_lost", "logger": record.name, "reason": reason}
        with suppress(Exception):
            self.stream.write(orjson.dumps(line).decode() + self.terminator)


def configure(
    form: Literal["json", "console"] | None = None,
    level: str = "info",
    stream: TextIO | None = None,
    process: int | None = None,
) -> None:
    """Send every logger of the process through our pipe to `stream` (default stdout).

    `form` None means: console on a terminal, else json. `level` is the least level shown. `process`
    is the number of this one among several, which each line then tells.
    """
    stream = stream or sys.stdout
    form = form or ("console" if stream.isatty() else "json")
    handler = _Handler(stream)
    handler.setFormatter(_formatter(form, stream, [] if process is None else [_naming(process)]))
    root = logging.getLogger()
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


def _naming(process: int) -> Any:
    def name_the_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return name_the_process


def _formatter(form: str, stream: TextIO, first: list[Any]) -> logging.Formatter:
    if isinstance(stream, io.TextIOWrapper):
        if form == "json":
            stream.reconfigure(encoding="utf-8")  # as JSON is, whatever the locale
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
    plain = structlog.dev.plain_traceback  # tracebacks come as text, for the scrubber
    return [
        _on_one_line,
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain),
    ]


def _name_the_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Tell by `logger` which library spoke, since its event is a sentence and not a fixed name."""
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event
