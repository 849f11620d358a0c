"""Every log line is one JSON object, whoever speaks, and holds no secret."""

import asyncio
import io
import logging
import subprocess
import sys
import textwrap
import warnings
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, create_engine, text

from server.observability.log import configure
from server.observability.log_handler import LineHandler, log_quickly
from server.observability.scrubber import MASK, scrub, scrub_text
from tests.support.paths import ROOT

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

TOKEN = "BQDx-9_aZ.token~of+a/long=="
KEY = "fr_" + "Sekret_-7" * 4 + "1234567"

log = structlog.get_logger()


def let_pytest_not_listen() -> None:
    """Its own handlers stumble over what ours must take; they are put back after the test."""
    root = logging.getLogger()
    root.handlers[:] = [each for each in root.handlers if isinstance(each, LineHandler)]


class Terminal(io.StringIO):
    """Somewhere a person looks."""

    def isatty(self) -> bool:
        return True


class Unprintable:
    """Something that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Colour(Enum):
    RED = "red"


def raise_and_log(logger: Any, message: str = "it broke") -> None:
    try:
        raise ValueError(message)
    except ValueError:
        logger.exception("failed")


# One line each, from everywhere


def test_our_events_have_time_level_event_and_fields_in_that_order(lines: Any) -> None:
    log.info("sync_finished", source="search", calls=10)
    (line,) = lines()
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo == UTC
    assert line == {"level": "info", "event": "sync_finished", "source": "search", "calls": 10}


def test_libraries_speak_through_the_same_pipe(lines: Any) -> None:
    logging.getLogger("tornado.general").warning("Connect error on %s: %s", "fd 7", "refused")
    logging.getLogger("any.library").info("hello", extra={"size": 5})
    first, second = lines()
    assert (first["logger"], first["level"]) == ("tornado.general", "warning")
    assert first["event"] == "Connect error on fd 7: refused"
    assert (second["logger"], second["size"]) == ("any.library", 5)


def test_sqlalchemy_speaks_through_the_same_pipe(lines: Any, database_url: URL) -> None:
    engine = create_engine(database_url, echo_pool=True)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.invalidate()
    engine.dispose()
    logging.getLogger("sqlalchemy.pool").error("Exception during reset")
    assert all(line["logger"].startswith("sqlalchemy") for line in lines())
    assert lines()[-1]["event"] == "Exception during reset"


def test_warnings_of_python_are_lines(lines: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configured = io.StringIO()
        configure("json", "info", configured)
        warnings.warn("old\nways", UserWarning, stacklevel=1)
    (line,) = configured.getvalue().splitlines()
    assert orjson.loads(line)["logger"] == "py.warnings"
    assert "UserWarning: old\nways" in orjson.loads(line)["event"]


@pytest.mark.gen_test
async def test_asyncio_tells_of_lost_exceptions_in_a_line(lines: Any) -> None:
    lost = {"message": "lost", "exception": ValueError(f"code={TOKEN}")}
    asyncio.get_running_loop().call_exception_handler(lost)
    (line,) = lines()
    assert (line["logger"], line["event"]) == ("asyncio", "lost")
    assert "ValueError" in line["exception"]
    assert TOKEN not in str(line)


@pytest.mark.parametrize("name", ["structlog", "stdlib"])
def test_an_exception_is_one_line_with_its_traceback(lines: Any, name: str) -> None:
    raise_and_log(log if name == "structlog" else logging.getLogger("library"))
    (line,) = lines()
    assert (line["event"], line["level"]) == ("failed", "error")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: it broke")


def test_an_exception_can_be_given_as_it_is_or_as_a_triple(lines: Any) -> None:
    try:
        raise ValueError("it broke")
    except ValueError as error:
        log.error("one", exc_info=error)
        log.error("two", exc_info=sys.exc_info())
    assert [line["exception"][-20:] for line in lines()] == ["ValueError: it broke"] * 2


def test_the_request_id_comes_along_from_the_context(lines: Any) -> None:
    structlog.contextvars.bind_contextvars(request_id="r-1")
    log.info("ours")
    logging.getLogger("library").info("theirs")
    assert [line["request_id"] for line in lines()] == ["r-1", "r-1"]


# Whatever is logged


def circle() -> dict[str, Any]:
    ring: dict[str, Any] = {"name": "ring"}
    ring["inner"] = [ring]
    return ring


def tower(height: int) -> Any:
    value: Any = "top"
    for _ in range(height):
        value = {"under": [value]}
    return value


ODD = {
    "an object": object(),
    "an object without words": Unprintable(),
    "a class": Unprintable,
    "bytes": b"\xff\x00bytes",
    "a set": {1},
    "a date": date(2026, 11, 20),
    "a time": datetime(2026, 11, 20, 5, tzinfo=UTC),
    "a uuid": UUID(int=5),
    "an enum": Colour.RED,
    "a path": Path("somewhere"),
    "an error": ValueError("wrong"),
    "not a number": float("nan"),
    "infinity": float("inf"),
    "a huge number": 10**30,
    "a number beyond words": 10**5000,
    "a complex number": 1j,
    "half a surrogate": "a\ud800b",
    "a key that is a number": {1: "one", None: 0, False: 2, 1.5: 3},
    "a key that is a tuple": {(1, 2): "pair"},
    "a key without words": {Unprintable(): 1},
    "a circle": circle(),
    "a tower": tower(50),
    "a tower beyond all limits": tower(5000),
    "controls": "a\nb\r\x00\x1b[31m\u2028\x85",
    "a generator": (number for number in range(3)),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_anything_at_all_can_be_logged(
    lines: Any, capfd: pytest.CaptureFixture[str], value: Any
) -> None:
    let_pytest_not_listen()
    log.info("odd", value=value, deeper=[{"value": value}])
    logging.getLogger("library").info("odd", extra={"value": value})
    ours, theirs = lines()
    assert ours["event"] == theirs["event"] == "odd"
    assert "value" in ours
    assert "value" in theirs
    assert capfd.readouterr().err == ""


def test_ordinary_values_keep_their_form(lines: Any) -> None:
    values = {
        "number": 5,
        "fraction": 1.5,
        "yes": True,
        "nothing": None,
        "list": [1, "two"],
        "object": {"a": {"b": 1}},
        "time": datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC),
    }
    log.info("plain", **values)
    (line,) = lines()
    assert {name: line[name] for name in values} == {
        **values,
        "time": "2026-11-20T05:00:12Z",
    }


def test_a_message_with_line_breaks_is_one_line(lines: Any) -> None:
    logging.getLogger("library").info("one\ntwo\r\nthree\x0b\x0c\x1b[2J")
    (line,) = lines()
    assert line["event"] == "one\ntwo\r\nthree\x0b\x0c\x1b[2J"


def test_a_line_that_a_library_got_wrong_is_told_as_lost(
    lines: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    let_pytest_not_listen()
    logging.getLogger("library").info("%d apples", "many")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("log_line_lost", "library")
    assert capfd.readouterr() == ("", "")


# The short cut for the many


HIT = {"request_id": "r", "path": "/api/artists/?q=é", "status": 200, "duration_ms": 0.03}


def without_time(line: dict[str, Any]) -> list[Any]:
    at = datetime.fromisoformat(line["timestamp"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert line["timestamp"].endswith("Z")
    return [pair for pair in line.items() if pair[0] != "timestamp"]


@pytest.mark.parametrize("process", [None, 3])
@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_a_line_by_the_short_cut_is_the_one_that_the_pipe_would_write(
    process: int | None, level: str
) -> None:
    let_pytest_not_listen()
    stream = io.StringIO()
    configure("json", level, stream, process)
    logging.getLogger().handlers[:] = logging.getLogger().handlers[-1:]
    structlog.get_logger().info("http_request", **HIT)
    log_quickly("http_request", **HIT)
    logged = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert len(logged) == (0 if level == "warning" else 2)
    assert not logged or sorted(without_time(logged[0])) == sorted(without_time(logged[1]))
    assert not logged or list(logged[1])[:3] == ["timestamp", "level", "event"]


def test_on_a_terminal_the_short_cut_is_the_way_through_the_pipe() -> None:
    let_pytest_not_listen()
    stream = io.StringIO()
    configure("console", "info", stream)
    log_quickly("http_request", **HIT)
    assert "http_request" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_a_line_by_the_short_cut_is_lost_rather_than_the_program() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if "http_request" in text:
                raise OSError(28, "No space left on device")
            return super().write(text)

    let_pytest_not_listen()
    stream = Full()
    configure("json", "info", stream)
    log_quickly("http_request", **HIT)
    assert orjson.loads(stream.getvalue())["event"] == "log_line_lost"


# Secrets


SECRET_FIELDS = [
    *("access_token", "refresh_token", "token", "client_secret", "secret", "password"),
    *("Authorization", "authorization", "Cookie", "Set-Cookie", "code", "state", "code_verifier"),
]


@pytest.mark.parametrize("name", SECRET_FIELDS)
@pytest.mark.parametrize("value", ["hush", b"hush", ["hush"], {"value": "hush"}, ("x", ["hush"])])
def test_secrets_are_masked_by_the_name_of_their_field(lines: Any, name: str, value: Any) -> None:
    log.info("event", **{name: value})
    log.info("event", request={"headers": [{name: value}]})
    logging.getLogger("library").info("event", extra={name: value})
    assert "hush" not in str(lines())
    assert lines()[0][name] in (MASK, [MASK], {"value": MASK}, [MASK, [MASK]])


@pytest.mark.parametrize(
    "said",
    [
        f"Authorization: Bearer {TOKEN}",
        f"{{'Authorization': 'Bearer {TOKEN}'}}",
        f"Authorization: Basic {TOKEN}",
        f"GET /auth/callback/?code={TOKEN}&state={TOKEN} HTTP/1.1",
        f"/auth/login/?next=%2Fx%3Fcode%3D{TOKEN}",
        f'{{"access_token": "{TOKEN}", "token_type": "Bearer"}}',
        f'{{"access_token":"{TOKEN}"',
        f"{{'refresh_token': '{TOKEN}'}}",
        f'"{{\\"access_token\\": \\"{TOKEN}\\"}}"',
        f"grant_type=refresh_token&refresh_token={TOKEN}",
        f"client_secret={TOKEN}",
        f"code_verifier={TOKEN};",
        f'{{"code": "{TOKEN}", "state": "{TOKEN}"}}',
        f"password={TOKEN} host=db",
        f"token={TOKEN}",
        f"GET /feeds/my/albums.ics?limit=5&key={TOKEN} HTTP/1.1",
        f"GET /auth/login/?next=%2Ffeeds%2Fmy%2Falbums.ics%3Fkey%3D{TOKEN} HTTP/1.1",
        KEY,
        f"k%65y={KEY}",
        f"%252Ffeeds%252Fmy%252Falbums.ics%253Fkey%253D{KEY}",
        f"Bearer%20{KEY}",
        f"b'{KEY}\\n{KEY}' and é{KEY}, €{KEY}",
        f"postgresql://user:{TOKEN}@host/name",
        f"postgresql+psycopg2://user:with@{TOKEN}@host:5432/name",
        f"postgres://:{TOKEN}@host",
        f"could not connect to 'postgres://user:{TOKEN}@host/name' now",
    ],
)
def test_secrets_are_masked_inside_text(lines: Any, said: str) -> None:
    log.info(said, said=said, deep=[{"said": (said,)}], raw=said.encode(), error=ValueError(said))
    logging.getLogger("library").warning("they said %s", said)
    raise_and_log(log, said)
    shown = str(lines())
    assert TOKEN not in shown
    assert TOKEN[:10] not in shown
    assert "Sekret" not in shown
    assert MASK in shown
    assert len(lines()) == 3


@pytest.mark.parametrize(
    "said",
    [
        "status 200",
        "the status code: 404",
        "exit code 1, state active",
        "state: consent_needed",
        '{"code": 404, "state": null}',
        "status_code=404",
        "Bearer of bad news",
        "Basic facts",
        "Only valid bearer authentication supported",
        "the access token expired",
        "http://127.0.0.1:5000/api/artists/?limit=5",
        "https://open.spotify.com/artist/0LyfQWJT6nXafLPZqxe9Of",
        "token_refreshed",
        "password",
        "me@example.org",
        "SQLSTATE 23505",
        f"/api/albums/?limit=5&cursor=pzG4-{KEY}",
        f"/api/albums/?limit=5&cursor={'pzG4' * 9}{KEY}",
    ],
)
def test_ordinary_text_is_left_alone(said: str) -> None:
    assert scrub_text(said) == said


def test_ordinary_fields_are_left_alone(lines: Any) -> None:
    fields = {
        "status": 200,
        "code": 404,
        "state": None,
        "token_count": "5",
        "passwords": 0,
        "path": "/api/artists/?limit=5",
        "bucket": "search",
        "token": False,
    }
    log.info("token_refreshed", **fields)
    (line,) = lines()
    assert {name: line[name] for name in fields} == fields
    assert line["event"] == "token_refreshed"


def test_what_was_given_is_not_changed() -> None:
    given_fields = {"headers": {"authorization": "hush"}, "list": ["code=hush"]}
    scrub(None, "info", given_fields)
    assert given_fields == {"headers": {"authorization": "hush"}, "list": ["code=hush"]}


@given(st.text(), st.sampled_from(["access_token", "code", "state", "password"]))
def test_scrubbing_never_fails_and_twice_is_as_once(said: str, name: str) -> None:
    once = scrub_text(f"{said}?{name}=hush-hush&{said}")
    assert "hush-hush" not in once
    assert scrub_text(once) == once


# Levels, streams and forms


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_the_least_that_is_shown(level: str, shown: list[str]) -> None:
    stream = io.StringIO()
    configure("json", level, stream)
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("ours")
        getattr(logging.getLogger("library"), name)("theirs")
    levels = [orjson.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == [name for name in shown for _ in range(2)]


@pytest.mark.parametrize("name", ["asyncio", "alembic", "sqlalchemy"])
def test_talkative_libraries_are_heard_only_when_they_warn(name: str) -> None:
    stream = io.StringIO()
    configure("json", "debug", stream)
    logging.getLogger(name).info("chatter")
    logging.getLogger(f"{name}.inner").warning("trouble")
    (line,) = stream.getvalue().splitlines()
    assert orjson.loads(line)["event"] == "trouble"


def test_configuring_twice_doubles_no_line() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)
    configure("json", "info", stream)
    log.info("once")
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_gets_colours_and_a_file_gets_json() -> None:
    terminal, file = Terminal(), io.StringIO()
    configure(stream=terminal)
    log.info("shown", port=5000)
    configure(stream=file)
    log.info("kept", port=5000)
    assert "\x1b[" in terminal.getvalue()
    assert "shown" in terminal.getvalue()
    assert orjson.loads(file.getvalue())["port"] == 5000


def test_the_console_form_has_no_colours_in_a_file() -> None:
    stream = io.StringIO()
    configure("console", stream=stream)
    log.info("shown", port=5000)
    assert "\x1b" not in stream.getvalue()
    assert "port=5000" in stream.getvalue()


def test_the_console_form_shows_exceptions_without_secrets() -> None:
    stream = io.StringIO()
    configure("console", stream=stream)
    raise_and_log(log, f"code={TOKEN}")
    raise_and_log(logging.getLogger("library"), f"Bearer {TOKEN}")
    try:
        raise ValueError("a triple")
    except ValueError:
        log.error("failed", exc_info=sys.exc_info())
    shown = stream.getvalue()
    assert TOKEN not in shown
    assert shown.count("Traceback (most recent call last):\n") == 3
    assert "ValueError: a triple" in shown


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_the_console_form_takes_anything_on_one_line(
    capfd: pytest.CaptureFixture[str], value: Any
) -> None:
    stream = io.StringIO()
    configure("console", stream=stream)
    log.info("odd", value=value)
    log.info("forged\nline\x1b[2J\x9b2J")
    assert stream.getvalue().count("\n") == 2
    assert not {"\x1b", "\x9b", "\x00", "\r"} & set(stream.getvalue())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_stream_that_is_closed_costs_the_line_and_nothing_else(
    capfd: pytest.CaptureFixture[str], form: Any
) -> None:
    stream = io.StringIO()
    configure(form, stream=stream)
    stream.close()
    log.info("lost")
    raise_and_log(logging.getLogger("library"))
    assert capfd.readouterr() == ("", "")


def run_program(program: str, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_broken_pipe_does_not_stop_the_program() -> None:
    program = """
        import sys, structlog
        from server.observability.log import configure
        configure()
        log = structlog.get_logger()
        log.info("first")
        sys.stdin.readline()
        for number in range(1000):
            log.info("into the void", number=number, much="x" * 1000)
        print("still here", file=sys.stderr)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdin
        assert process.stderr
        assert orjson.loads(process.stdout.readline())["event"] == "first"
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.flush()
        told = process.stderr.read().decode()
    assert told.startswith("still here\n")
    assert "Logging error" not in told


def test_names_in_any_script_survive_a_terminal_that_knows_no_unicode() -> None:
    program = """
        import structlog
        from server.observability.log import configure
        configure()
        structlog.get_logger().info("event", name="Sigur Rós 電気 \\U0001f3b8")
        configure("console")
        structlog.get_logger().info("event", name="Sigur Rós 電気 \\U0001f3b8")
    """
    with run_program(program, PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=30)
    assert err == b""
    first, second = out.splitlines()
    assert orjson.loads(first)["name"] == "Sigur Rós 電気 🎸"
    assert b"Sigur R" in second
