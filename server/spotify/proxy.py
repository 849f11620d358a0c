"""Connections to Spotify through a company's HTTP proxy: its choice, and the CONNECT tunnel.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are read as Python's urllib reads them. Sources: RFC
9110 section 9.3.6 (CONNECT); curl's manual, "Environment".
"""

import asyncio
import base64
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tornado.httputil import HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.netutil import Resolver
from tornado.tcpclient import TCPClient

from server import __version__
from server.config.addresses import is_loopback
from server.observability.scrubber import MASK

MAX_HEAD_BYTES = 16 * 1024
USUAL_PORT = 80
NEEDS_LOGIN = 407


class ProxyFailed(OSError):
    """The proxy cannot be used; the text says why, without its password."""


@dataclass(frozen=True)
class Proxy:
    """A proxy for plain HTTP, and the environment variable that names it."""

    variable: str
    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        user = "" if self.authorization is None else f"{MASK}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{user}{host}:{self.port}"


class Proxies:
    """The proxies that the environment named when this object was made."""

    def __init__(self) -> None:
        self._environment = urllib.request.getproxies_environment()

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for a host, None for a direct connection, as to a loopback address.

        Raises ProxyFailed if the environment names one that cannot be used.
        """
        address = self._environment.get(scheme) or self._environment.get("all")
        if not address or _is_loopback(host):
            return None
        bypasses = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if bypasses(f"{host}:{port}", self._environment):
            return None
        variable = f"{scheme}_proxy" if self._environment.get(scheme) else "all_proxy"
        return parse(variable.upper(), address)

    def describe(self) -> dict[str, str]:
        """Return the address of the proxy that each variable names, passwords masked."""
        shown = {}
        for scheme in ("https", "http", "all"):
            if address := self._environment.get(scheme):
                variable = f"{scheme.upper()}_PROXY"
                try:
                    shown[variable] = str(parse(variable, address))
                except ProxyFailed as error:
                    shown[variable] = f"(unusable: {error})"
        if shown and self._environment.get("no"):
            shown["NO_PROXY"] = self._environment["no"]
        return shown


def parse(variable: str, address: str) -> Proxy:
    """Parse `http://[USER:PASSWORD@]HOST[:PORT]`, or `HOST:PORT`. Raises ProxyFailed."""
    scheme, _, rest = address.rpartition("://")
    if scheme.lower() not in ("", "http"):
        kind = scheme if scheme.isalnum() else "other"
        raise ProxyFailed(
            f"{variable} names a proxy of kind {kind}://, which is not supported: write "
            "http://HOST:PORT, or list Spotify's hosts in NO_PROXY"
        )
    try:
        parts = urlsplit(f"http://{rest}")
        host, port = parts.hostname, parts.port or USUAL_PORT
    except ValueError:
        host, port = None, USUAL_PORT
    if not host:
        raise ProxyFailed(f"{variable} is not an address such as http://proxy.example.org:3128")
    if parts.username is None:
        return Proxy(variable, host, port)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    token = base64.b64encode(login.encode()).decode("ascii")
    return Proxy(variable, host, port, f"Basic {token}")


class TunnelClient(TCPClient):
    """Connects directly, or through a proxy's tunnel if `proxies` names one for the host."""

    def __init__(self, proxies: Proxies, resolver: Resolver | None = None) -> None:
        super().__init__(resolver)
        self._proxies = proxies

    async def connect(self, host: str, port: int, *more: Any, **options: Any) -> IOStream:
        """Open a stream to a host, with TLS if `ssl_options` are given. Raises ProxyFailed."""
        scheme = "https" if options.get("ssl_options") else "http"
        proxy = self._proxies.find(scheme, host, port)
        if proxy is None:
            return await super().connect(host, port, *more, **options)
        ssl_options, timeout = options.pop("ssl_options", None), options.pop("timeout", None)
        async with self._in_time(proxy, host, timeout):
            stream = await self._through(proxy, _target(host, port), options)
            if not ssl_options:
                return stream
            return await stream.start_tls(False, ssl_options, server_hostname=host)

    async def try_tunnel(self, proxy: Proxy, host: str, port: int, seconds: float) -> IOStream:
        """Open a tunnel without TLS. Raises ProxyFailed."""
        async with self._in_time(proxy, host, seconds):
            return await self._through(proxy, _target(host, port), {})

    @asynccontextmanager
    async def _in_time(self, proxy: Proxy, host: str, seconds: float | None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise ProxyFailed(f"{_named(proxy)} opened no connection to {host} in time") from None

    async def _through(self, proxy: Proxy, target: str, options: dict[str, Any]) -> IOStream:
        """Ask a proxy for a tunnel to `target`."""
        try:
            stream = await super().connect(proxy.host, proxy.port, **options)
        except OSError as error:
            cause = getattr(error, "real_error", None) or error
            reason = getattr(cause, "strerror", None) or cause
            raise ProxyFailed(f"{_named(proxy)} cannot be reached: {reason}") from error
        try:
            await stream.write(_request(proxy, target))
            head = await stream.read_until(b"\r\n\r\n", max_bytes=MAX_HEAD_BYTES)
            answer = parse_response_start_line(head.decode("latin-1").partition("\r\n")[0])
            if not 200 <= answer.code < 300:
                raise ProxyFailed(_refusal(proxy, target, answer.code))
        except (StreamClosedError, UnsatisfiableReadError, HTTPInputError) as error:
            stream.close()
            raise ProxyFailed(f"{_named(proxy)} does not answer as an HTTP proxy does") from error
        except BaseException:
            stream.close()
            raise
        return stream


def _target(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _request(proxy: Proxy, target: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: Freshet/{__version__}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _refusal(proxy: Proxy, target: str, status: int) -> str:
    if status == NEEDS_LOGIN and proxy.authorization is None:
        hint = f"write {proxy.variable}=http://USER:PASSWORD@{proxy.host}:{proxy.port}"
        return f"{_named(proxy)} requires a user and password (407): {hint}"
    if status == NEEDS_LOGIN:
        return f"{_named(proxy)} refuses the user and password of {proxy.variable} (407)"
    return f"{_named(proxy)} refuses a connection to {target} ({status})"


def _named(proxy: Proxy) -> str:
    return f"the proxy {proxy} ({proxy.variable})"


def _is_loopback(host: str) -> bool:
    host = host.rstrip(".").lower()
    return is_loopback(host) or host == "localhost" or host.endswith(".localhost")
