"""One pipe for every log line: ours, Tornado's, SQLAlchemy's and Python's warnings.

Each line is one JSON object on stdout (or a coloured line on a terminal) with `timestamp`, `level`,
`event` and fields. Secrets are masked by `scrub`, whoever logged them.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import orjson
import structlog

MASK = "********"
SECRET_FIELDS = frozenset(
    "access_token refresh_token token client_secret secret password authorization cookie "
    "set_cookie code code_verifier code_challenge state".split()
)
SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<name>\b(?:access_token|refresh_token|client_secret|code_verifier|code|state|password)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;})]+"
    r"|(?P<url>\w://[^\s:/@]*:)[^\s@/]+(?=@)"
)

EventDict = MutableMapping[str, Any]


def scrub_text(text: str) -> str:
    """Mask tokens, codes, states and passwords inside a string."""
    return SECRET_TEXT.sub(
        lambda match: (match["scheme"] or match["name"] or match["url"]) + MASK, text
    )


def scrub(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Mask secrets by field name and by form, however deep they lie (a structlog processor)."""
    return {key: _scrub_value(key, value) for key, value in event.items()}


def _scrub_value(key: str, value: Any) -> Any:
    if key.lower().replace("-", "_") in SECRET_FIELDS and isinstance(value, str | bytes):
        return MASK
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, dict):
        return {name: _scrub_value(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub_value(key, inner) for inner in value]
    return value


def _to_json(event: EventDict, **_: Any) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps({**first, **event}, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(
    form: Literal["json", "console"] | None = None,
    level: str = "info",
    stream: TextIO | None = None,
) -> None:
    """Send every logger of the process through our pipe to `stream` (default stdout).

    `form` None means: console on a terminal, else json. `level` is the least level shown.
    """
    stream = stream or sys.stdout
    form = form or ("console" if stream.isatty() else "json")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer: Any = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_the_library, structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                scrub,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _name_the_library(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Tell by `logger` which library spoke, since its event is a sentence and not a fixed name."""
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event
