"""Reverse proxies in front of Freshet, with the files of deploy/, and clients of them."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from tornado.httpclient import HTTPResponse

from server.app.application import Application
from tests.support.http_client import new_client
from tests.support.loops import Closing
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.waiting import until

DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "nginx.conf"
PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
OFTEN = "200ms"  # between two checks of a server's health
COUNTED = "600s"  # for how long a client's requests are: also a slow machine reaches the limit
LIST = "/api/artists/"


def found(program: str) -> str:
    """Return the path of a program; skips the test if it is not installed."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"there is no {program}")
    return path


class HttpClient:
    """An HTTP client for a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = new_client(max_clients=100)

    async def get(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> HTTPResponse:
        return await self._http.fetch(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            raise_error=False,
            decompress_response=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )

    async def stream(self, *fields: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and request the event stream on it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = ["GET /api/events HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *fields, "", ""]
        writer.write("\r\n".join(lines).encode())
        return reader, writer


class Front(HttpClient):
    """A program on a port of its own; `_command` starts it, and `_checking` looks at its file."""

    _command: Sequence[str]
    _checking: Sequence[str]
    log: Path | None = None  # where its output goes; None for that of the tests

    def check(self) -> None:
        done = subprocess.run(
            self._checking, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "[warn" not in done.stderr.lower()

    async def start(self) -> None:
        with self.log.open("ab") if self.log else nullcontext() as file:
            errors = subprocess.STDOUT if file else None
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdout=file, stderr=errors
            )
        await until(lambda: is_open(self.port))

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


class Nginx(Front):
    """nginx in front of servers on `ports`; `more` stands below `listen`.

    `patience` replaces the 10 s that a slow client has, and `rate` the requests of a client that
    are forgotten each second.
    """

    def __init__(
        self,
        folder: Path,
        *ports: int,
        more: str = "",
        patience: str = "10s",
        rate: str = "100r/s",
    ) -> None:
        super().__init__(free_port())
        text = CONFIG.read_text(encoding="utf-8")
        places = "".join(f"{name}_temp_path {folder}/{name};\n" for name in PLACES)
        (line,) = re.findall(r"^ +(server 127\.0\.0\.1:5000 .*;)$", text, re.MULTILINE)
        servers = "\n".join(line.replace("5000", str(port)) for port in ports)
        for old, new in (
            ("http {\n", f"http {{\n{places}"),
            (line, servers),
            ("/var/cache/nginx/freshet", f"{folder}/cache"),
            ("_timeout 10s;", f"_timeout {patience};"),
            (" rate=100r/s;", f" rate={rate};"),
            ("listen 80;", f"listen 127.0.0.1:{self.port}; {more}"),
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        extra = f"daemon off; pid {folder}/pid;" + (" user root;" if os.geteuid() == 0 else "")
        self._command = [found("nginx"), "-p", str(folder), "-e", "stderr"]
        self._command += ["-c", f"{folder}/nginx.conf", "-g", extra]
        self._checking = [*self._command, "-t"]

    async def quit(self) -> int:
        """Stop it gracefully, as Docker does; returns the exit code."""
        self._process.send_signal(signal.SIGQUIT)
        return await asyncio.wait_for(self._process.wait(), 9)

    async def keep(self, path: str, **headers: str) -> HTTPResponse:
        """Request a path twice, because nginx caches the second response only; returns that."""
        first = await self.get(path, **headers)
        assert (first.code, first.headers["X-Cache"]) == (200, "MISS")
        second = await self.get(path, **headers)
        assert (second.code, second.headers["X-Cache"]) == (200, "MISS")
        return second


class HAProxy(Front):
    """HAProxy in front of a server on `server`."""

    def __init__(self, folder: Path, server: int) -> None:
        super().__init__(free_port())
        changes = {
            ":80 ": f"127.0.0.1:{self.port} ",
            "127.0.0.1:5000": f"127.0.0.1:{server}",
            "inter 2s": f"inter {OFTEN}",
            "http_req_rate(10s)": f"http_req_rate({COUNTED})",
        }
        file = written(DEPLOY / "haproxy.cfg", folder, changes)
        self._command = [found("haproxy"), "-db", "-f", str(file)]
        self._checking = [found("haproxy"), "-c", "-f", str(file)]


class Varnish(Front):
    """Varnish in front of a server on `server`."""

    def __init__(self, folder: Path, server: int) -> None:
        super().__init__(free_port())
        changes = {
            '.port = "5000";': f'.port = "{server}";',
            ".interval = 2s;": f".interval = {OFTEN};",
            "1500, 10s)": f"1500, {COUNTED})",
        }
        file = written(DEPLOY / "varnish.vcl", folder, changes)
        place = ["-n", str(folder / "varnish"), "-j", "none"]
        self._command = [found("varnishd"), "-F", *place, "-a", f"127.0.0.1:{self.port}"]
        self._command += ["-f", str(file), "-s", "malloc,64m"]
        self._checking = [found("varnishd"), "-C", "-f", str(file), *place]


class Caddy(Front):
    """Caddy in front of a server on `server`, without TLS."""

    def __init__(self, folder: Path, server: int) -> None:
        super().__init__(free_port())
        changes = {
            "example.org {": f"http://:{self.port} {{\n\tbind 127.0.0.1",
            "127.0.0.1:5000": f"127.0.0.1:{server}",
            "health_interval 2s": f"health_interval {OFTEN}",
            "grace_period 5s": f"grace_period {OFTEN}",
            "\tservers {": "\tadmin off\n\tservers {",
        }
        file = written(DEPLOY / "Caddyfile", folder, changes)
        options = ["--adapter", "caddyfile", "--config", str(file)]
        self._command = [found("caddy"), "run", *options]
        self._checking = [found("caddy"), "validate", *options]


def written(source: Path, folder: Path, changes: dict[str, str]) -> Path:
    """Copy a file of deploy/ with replacements, each of which must match."""
    text = source.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    copy = folder / source.name
    copy.write_text(text, encoding="utf-8")
    return copy


Start = Callable[..., Awaitable[Nginx]]


@pytest.fixture
def start_nginx(tmp_path: Path, closing: Closing) -> Start:
    async def start(*servers: Application, **options: str) -> Nginx:
        nginx = Nginx(tmp_path, *(each.port for each in servers), **options)
        if options:  # the file as it is has a test of its own
            nginx.check()
        await nginx.start()
        closing(nginx.stop)
        return nginx

    return start


QUERIES = [
    *("", "limit=1", "limit=2", "limit=1&limit=2", "l%69mit=3", "l%69mit=1&limit=2", "limit"),
    *("limit=x", "Limit=2", "+limit=2", "limit+=2", "limit=1&junk", "q=a%26limit=1", "q=a%20b"),
    *("q=a+b", "limit=1;limit=2", "%00limit=1", "limit=1%00", "=limit=1", "&?limit=1"),
    *("?limit=1", "limit=1&q", "fields=id", "fields=id&fields=name", "%C3%A9=1", "limit=1%26"),
]
