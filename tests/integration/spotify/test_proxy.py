"""The way to Spotify through a company's proxy, by HTTPS_PROXY and its like."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from server.doctor import examine
from server.errors import SpotifyUnavailable
from server.spotify.proxy import Proxies, ProxyFailed, parse
from server.spotify.transport import Transport
from server.standin import StandIn
from tests.support.forward_proxy import ForwardProxy, certify
from tests.support.loops import Closing
from tests.support.ports import free_port
from tests.support.server_processes import Manage
from tests.support.settings import SECRET
from tests.support.standins import StartStandIn

PASSWORD = "p@ss word"
VARIABLES = [f"{scheme}_proxy" for scheme in ("https", "http", "all", "no")]

StartProxy = Callable[..., Awaitable[ForwardProxy]]


@pytest.fixture(autouse=True)
def no_proxies_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def start_proxy(closing: Closing) -> StartProxy:
    async def start(standin: StandIn, **options: Any) -> ForwardProxy:
        port = int(standin.accounts_url.rpartition(":")[2])
        proxy = ForwardProxy(port, **options)
        await proxy.start()
        closing(proxy.stop)
        return proxy

    return start


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Proxies]:
    """Proxies as this environment names them."""

    def make(**environment: str) -> Proxies:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Proxies()

    return make


async def ask(url: str) -> int:
    transport = Transport(seconds=10)
    try:
        return (await transport.send("GET", url, {})).status
    finally:
        transport.close()


async def failure(url: str) -> str:
    with pytest.raises(SpotifyUnavailable) as caught:
        await ask(url)
    return str(caught.value)


# Which proxy


@pytest.mark.parametrize(
    ("environment", "host", "expected"),
    [
        ({}, "api.spotify.com", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "api.spotify.com", "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "api.spotify.com", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy"}, "api.spotify.com", "http://proxy:80"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "api.spotify.com", None),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "api.spotify.com", "http://[::1]:3128"),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "*"}, "api.spotify.com", None),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "a, .spotify.com"}, "api.spotify.com", None),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "spotify.com:443"}, "api.spotify.com", None),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "spotify.com:80"}, "spotify.com", "http://proxy:1"),
        ({"HTTPS_PROXY": "proxy:1", "NO_PROXY": "fy.com"}, "api.spotify.com", "http://proxy:1"),
        ({"HTTPS_PROXY": "proxy:1"}, "127.0.0.1", None),
        ({"HTTPS_PROXY": "proxy:1"}, "::1", None),
        ({"HTTPS_PROXY": "proxy:1"}, "LOCALHOST", None),
        ({"HTTPS_PROXY": "proxy:1"}, "standin.localhost.", None),
    ],
)
def test_the_environment_names_the_proxy(
    said: Callable[..., Proxies], environment: dict[str, str], host: str, expected: str | None
) -> None:
    proxy = said(**environment).find("https", host, 443)
    assert (None if proxy is None else str(proxy)) == expected


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("socks5://proxy:1080", "socks5:// which is not supported"),
        ("socks5h://me:hidden@proxy:1080", "socks5h:// which is not supported"),
        ("https://proxy:443", "https:// which is not supported"),
        ("http://", "is not an address"),
        ("http://proxy:port", "is not an address"),
        ("http://[::1", "is not an address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_explained(address: str, words: str) -> None:
    with pytest.raises(ProxyFailed) as caught:
        parse("HTTPS_PROXY", address)
    assert words in str(caught.value).replace(",", "")
    assert str(caught.value).startswith("HTTPS_PROXY ")
    assert "hidden" not in str(caught.value)


def test_a_password_is_in_no_text(said: Callable[..., Proxies]) -> None:
    proxies = said(HTTPS_PROXY="http://me:hidden@proxy:3128", NO_PROXY="intranet")
    proxy = proxies.find("https", "api.spotify.com", 443)
    assert "hidden" not in f"{proxy} {proxy!r}"
    assert proxies.describe() == {
        "HTTPS_PROXY": "http://********@proxy:3128",
        "NO_PROXY": "intranet",
    }


# Through the proxy


@pytest.mark.gen_test
async def test_a_request_goes_through_the_tunnel_with_user_and_password(
    start_standin: StartStandIn, start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await start_proxy(start_standin())
    monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss%20word@{proxy.address}")
    assert await ask("http://spotify.test:8000/v1/search") == 401
    (head,) = proxy.heads
    first, *fields = head.split("\r\n")
    assert first == "CONNECT spotify.test:8000 HTTP/1.1"
    token = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert {"Host: spotify.test:8000", f"Proxy-Authorization: Basic {token}"} <= set(fields)


@pytest.mark.gen_test
async def test_a_loopback_address_is_never_asked_for_through_a_proxy(
    start_standin: StartStandIn, start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin = start_standin()
    proxy = await start_proxy(standin)
    monkeypatch.setenv("ALL_PROXY", proxy.address)
    assert await ask(f"{standin.api_url}/search") == 401
    assert proxy.heads == []


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Login\r\n\r\n", "refuses the user and password of HTTP_PROXY (407)"),
        (b"HTTP/1.1 403 No\r\n\r\n", "refuses a connection to spotify.test:80 (403)"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 200", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 200 OK\r\nX: " + 20_000 * b"x", "does not answer as an HTTP proxy does"),
    ],
)
async def test_a_proxy_that_refuses_is_named_without_its_password(
    start_standin: StartStandIn,
    start_proxy: StartProxy,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    words: str,
) -> None:
    proxy = await start_proxy(start_standin(), answer=answer)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hidden@{proxy.address}")
    said = await failure("http://spotify.test/v1/search")
    assert words in said
    assert f"the proxy http://********@{proxy.address}" in said
    assert "hidden" not in said


@pytest.mark.gen_test
async def test_a_proxy_that_is_away_or_wants_a_password_is_explained(
    start_standin: StartStandIn, start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert "cannot be reached: Connection refused" in await failure("http://spotify.test/")
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1080")
    assert "HTTP_PROXY names a proxy of kind socks5://" in await failure("http://spotify.test/")
    proxy = await start_proxy(start_standin(), answer=b"HTTP/1.1 407 Login\r\n\r\n")
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    assert "write HTTP_PROXY=http://USER:PASSWORD@" in await failure("http://spotify.test/")


@pytest.mark.gen_test
async def test_a_proxy_that_says_nothing_is_waited_for_no_longer_than_spotify(
    monkeypatch: pytest.MonkeyPatch, closing: Closing
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    transport = Transport(seconds=0.3)
    with pytest.raises(SpotifyUnavailable, match="opened no connection to spotify"):
        await transport.send("GET", "http://spotify.test/", {})
    transport.close()
    server.close()


# The commands


@pytest.mark.gen_test
async def test_doctor_says_which_proxy_is_used_and_whether_it_answers(
    start_standin: StartStandIn,
    start_proxy: StartProxy,
    monkeypatch: pytest.MonkeyPatch,
    database_url: URL,
) -> None:
    async def found() -> dict[str, Any]:
        return {finding.about: finding async for finding in examine()}

    proxy = await start_proxy(start_standin())
    for name, value in settings_for(database_url, "http").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hidden@{proxy.address}")
    well = await found()
    assert (well["proxy"].level, well["credentials"].level) == ("ok", "ok")
    assert f"http://********@{proxy.address} (HTTP_PROXY)" in well["proxy"].text
    monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{free_port()}")
    away = await found()
    assert (away["proxy"].level, away["Spotify"].level) == ("fault", "fault")
    assert "cannot be reached: Connection refused" in away["proxy"].text
    assert str(away["proxy"].fix).startswith("correct the variable, or list Spotify's hosts in NO_")
    monkeypatch.setenv("NO_PROXY", "spotify.test")
    assert "proxy" not in await found()
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    assert (await found())["proxy"].level == "ok"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_sync_goes_through_a_proxy_that_opens_tls_with_a_certificate_of_its_own(
    start_standin: StartStandIn,
    start_proxy: StartProxy,
    database_url: URL,
    tmp_path: Path,
    manage: Manage,
) -> None:
    context, certificate = certify(tmp_path, "accounts.spotify.test", "api.spotify.test")
    proxy = await start_proxy(start_standin(), context=context)
    env = settings_for(database_url, "https")
    env |= {"PATH": "/usr/bin:/bin", "HTTPS_PROXY": f"http://{proxy.address}"}

    async def sync(**more: str) -> tuple[int, str]:
        ended = await asyncio.to_thread(manage, "sync", env=env | more)
        return ended.returncode, ended.stdout + ended.stderr

    code, out = await sync()
    assert code == 1, out
    assert "the certificate of accounts.spotify.test is not trusted" in out
    assert "SSL_CERT_FILE" in out
    code, out = await sync(SSL_CERT_FILE=str(certificate))
    assert code in (0, 3), out
    assert "releases seen" in out
    assert {head.split()[1] for head in proxy.heads} == {
        "accounts.spotify.test:443",
        "api.spotify.test:443",
    }


def settings_for(database_url: URL, scheme: str) -> dict[str, str]:
    hosts = ("spotify.test", "spotify.test")
    if scheme == "https":
        hosts = ("accounts.spotify.test", "api.spotify.test")
    return {
        "CLIENT_ID": "standin-client",
        "CLIENT_SECRET": "standin-secret",
        "SECRET": SECRET,
        "DATABASE_URL": database_url.render_as_string(hide_password=False),
        "SPOTIFY_ACCOUNTS_URL": f"{scheme}://{hosts[0]}",
        "SPOTIFY_API_URL": f"{scheme}://{hosts[1]}/v1",
    }
