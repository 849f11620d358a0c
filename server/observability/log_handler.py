"""Log lines on their way out: a handler that survives its stream, and a short cut for the many."""

import logging
import sys
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

from server.observability.log_writer import LogWriter
from server.observability.scrubber import scrub_text


class LineHandler(logging.StreamHandler[TextIO]):
    """Loses a line rather than the program, and says so where that is possible.

    `process` is the number that lines tell, if any; without `takes_json` they are for people.
    """

    def __init__(self, stream: TextIO, process: int | None, *, takes_json: bool) -> None:
        super().__init__(stream)
        self.takes_json = takes_json
        self.process = {} if process is None else {"process": process}
        self.writer = stream if isinstance(stream, LogWriter) else None
        if self.writer is not None:
            self.writer.describe = self._dropped

    def close(self) -> None:
        """Write the last lines; `logging` calls this at the end of the program."""
        if self.writer is not None:
            self.writer.close()
        super().close()

    def _dropped(self, count: int) -> str:
        """The line in place of `count` others."""
        fields = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
        record = logging.makeLogRecord(fields | {"msg": "log_lines_dropped", "count": count})
        return self.format(record) + self.terminator

    def write(self, line: dict[str, Any]) -> None:
        """A line that is ready but for the number of the process."""
        with self.lock or nullcontext():
            try:
                text = orjson.dumps(line | self.process, option=orjson.OPT_UTC_Z).decode()
                self.stream.write(text + self.terminator)
                self.flush()
            except Exception:
                self.handleError(logging.makeLogRecord({"name": __name__}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The stream is closed, or a library's words do not fit its form."""
        reason = scrub_text(repr(sys.exc_info()[1]))
        line = {"level": "error", "event": "log_line_lost", "logger": record.name, "reason": reason}
        with suppress(Exception):
            self.stream.write(orjson.dumps(line).decode() + self.terminator)


def tell_quickly(event: str, **fields: Any) -> None:
    """Log an event of level info past most of the pipe, in a tenth of the time.

    For what is logged ten thousand times a second. Whoever calls sees to it that the fields are of
    JSON's types and hold no secret; the context's own are not added.
    """
    root = logging.getLogger()
    if root.level > logging.INFO:
        return
    ours = [each for each in root.handlers if isinstance(each, LineHandler) and each.takes_json]
    if len(ours) < len(root.handlers):
        structlog.get_logger().info(event, **fields)
        return
    for handler in ours:
        handler.write({"timestamp": datetime.now(UTC), "level": "info", "event": event, **fields})


def dropped() -> int:
    """Count the lines that this process could not write since its log was configured."""
    ours = [each for each in logging.getLogger().handlers if isinstance(each, LineHandler)]
    return sum(each.writer.dropped for each in ours if each.writer is not None)
