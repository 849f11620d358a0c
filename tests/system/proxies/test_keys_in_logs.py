"""What proxies write of requests: with the files of deploy/, no access key is in any log.

There is no server behind them, so they also write errors about these requests.
"""

import asyncio
import re
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.proxies import DEPLOY, Caddy, Front, HAProxy, Nginx, Varnish, found

KEY = "fr_" + "Sekret_-7" * 4 + "1234567"
FEED = "/feeds/my/albums.atom"
QUERIES = (f"key={KEY}", f"limit=1&key={KEY}&sort=name", f"limit=1&k%65y={KEY}")
LOG_OF_NGINX = "access_log /var/log/nginx/access.log masked;"
Ask = Callable[[Front], Awaitable[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Send the requests through a program, and return its log once all are in it."""

    async def send(front: Front) -> str:
        front.log = tmp_path / "log"
        front.check()
        await front.start()
        try:
            for query in QUERIES:
                answer = await front.get(f"{FEED}?{query}")
                assert answer.code in (502, 503), answer.body
            assert (await front.get("/api/status?limit=2")).code in (502, 503)
        finally:
            await front.stop()
        return front.log.read_text()

    return send


def has_no_key(log: str, of: int) -> None:
    """Check that all requests are in a log, and nothing of the key."""
    assert log.count(FEED) >= of, log
    assert "Sekret" not in log


@pytest.mark.gen_test
async def test_nginx_masks_keys_and_writes_no_errors_about_private_feeds(
    tmp_path: Path, ask: Ask
) -> None:
    front = Nginx(tmp_path, free_port())
    file = tmp_path / "nginx.conf"
    text = file.read_text()
    assert f"access_log off;  # or: {LOG_OF_NGINX}" in text
    file.write_text(
        text.replace("access_log off;", LOG_OF_NGINX.replace("/var/log/nginx", str(tmp_path)))
    )
    errors = await ask(front)
    has_no_key((tmp_path / "access.log").read_text(), len(QUERIES))
    assert '"GET /api/status?limit=2 HTTP/1.1" 502' in (tmp_path / "access.log").read_text()
    assert FEED not in errors
    assert 'request: "GET /api/status?limit=2' in errors, "other errors are still written"


@pytest.mark.gen_test
async def test_haproxy_logs_requests_without_queries(tmp_path: Path, ask: Ask) -> None:
    front = HAProxy(tmp_path, free_port())
    file = tmp_path / "haproxy.cfg"
    text, uncommented = re.subn(r"^    # (log(-format)? )", r"    \1", file.read_text(), flags=re.M)
    assert uncommented == 2
    file.write_text(text)
    has_no_key(await ask(front), len(QUERIES))


@pytest.mark.gen_test
async def test_caddy_masks_keys_in_requests_and_in_errors(tmp_path: Path, ask: Ask) -> None:
    front = Caddy(tmp_path, free_port())
    file = tmp_path / "Caddyfile"
    file.write_text(file.read_text().replace("\tbind 127.0.0.1", "\tbind 127.0.0.1\n\tlog"))
    log = await ask(front)
    has_no_key(log, 2 * len(QUERIES))
    assert "limit=2" in log


@pytest.mark.gen_test
async def test_varnish_logs_requests_without_queries(tmp_path: Path, ask: Ask) -> None:
    front = Varnish(tmp_path, free_port())
    (form,) = re.findall(r"`varnishncsa -F '(.+)'`", (DEPLOY / "varnish.vcl").read_text())
    front.log = tmp_path / "output"
    await front.start()
    command = [found("varnishncsa"), "-n", str(tmp_path / "varnish"), "-d", "-F", form]
    log = ""
    try:
        for query in QUERIES:
            assert (await front.get(f"{FEED}?{query}")).code == 503
        async with asyncio.timeout(30):
            while log.count(FEED) < len(QUERIES):  # records are written a moment later
                logger = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
                log = (await logger.communicate())[0].decode()
        has_no_key(log, len(QUERIES))
    finally:
        await front.stop()
