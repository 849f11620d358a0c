"""Trusted proxies in front of the server (`TRUSTED_PROXIES`), and their X-Forwarded-* headers.

These headers have no standard. Source: developer.mozilla.org, X-Forwarded-For and
X-Forwarded-Proto.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPHeaders, HTTPServerRequest, split_host_and_port

from server.http.request_head import HOST

MAX_HOPS = 32  # entries of X-Forwarded-For that are read; more proxies are not plausible
Network = IPv4Network | IPv6Network

PROXY_HEADERS = (
    "X-Forwarded-For",
    "X-Real-Ip",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Forwarded",
    "Via",
)
WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+")  # some proxies add the port


class TrustedProxies:
    """Finds the client's address and scheme behind proxies of the given `networks`.

    `scheme` is assumed unless a trusted proxy reports another; headers of other peers are ignored.
    Each proxy appends the address of its peer to X-Forwarded-For, so the client is the rightmost
    address that is not a trusted proxy; entries further left can be forged. Zone ids are removed
    from addresses, because they can have any length and differ per request.
    """

    def __init__(self, networks: Sequence[Network] = (), scheme: str = "http") -> None:
        self._networks = networks
        self._scheme = scheme

    def client(self, peer: str, head: bytes) -> str:
        """Return the client's address for a request head (bytes) that arrived from `peer`."""
        if not self._is_proxy(peer):
            return _without_zone(peer)
        fields = head.decode("latin-1").partition("\r\n")[2]
        return self._trace(peer, HTTPHeaders.parse(fields))[0]

    def origin(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the client's address for a request with these headers that arrived from `peer`."""
        return self._trace(peer, headers)[0] if self._is_proxy(peer) else _without_zone(peer)

    def correct(self, request: HTTPServerRequest) -> None:
        """Set a request's address, scheme and host to the client's, as trusted proxies report."""
        request.protocol = self._scheme
        peer, headers = request.remote_ip or "", request.headers
        if not self._is_proxy(peer):
            request.remote_ip = _without_zone(peer)
            return
        request.remote_ip, hop = self._trace(peer, headers)
        scheme = _entry_at(headers.get("X-Forwarded-Proto", ""), hop)
        if scheme in ("http", "https"):
            request.protocol = scheme
        host = _entry_at(headers.get("X-Forwarded-Host", ""), hop)
        if HOST.fullmatch(host):
            request.host = host
            request.host_name = split_host_and_port(host)[0]

    def is_direct_or_local(self, request: HTTPServerRequest) -> bool:
        """Return whether a corrected request came directly, or through a proxy from this machine.

        False if the proxy is not trusted or does not report the client.
        """
        if not any(name in request.headers for name in PROXY_HEADERS):
            return True
        client = _address(request.remote_ip or "")
        nearest = _address(_forwarded_for(request.headers).rpartition(",")[2])
        return bool(nearest and client and client.is_loopback and self._trusts(client))

    def _trace(self, peer: str, headers: HTTPHeaders) -> tuple[str, int]:
        """Return the client's address, and its position from the right.

        The search ends at the first invalid entry.
        """
        client, hop = _without_zone(peer), 0
        entries = _forwarded_for(headers).rsplit(",", MAX_HOPS)
        for number, entry in enumerate(reversed(entries[-MAX_HOPS:])):
            address = _address(entry)
            if address is None:
                break
            client, hop = str(address), number
            if not self._trusts(address):
                break
        return client, hop

    def _is_proxy(self, peer: str) -> bool:
        return bool(self._networks) and self._trusts(_address(peer))

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in each for each in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address, written with or without a port; None if it is invalid."""
    text = text.strip()
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return address
    return address.ipv4_mapped or (IPv6Address(int(address)) if address.scope_id else address)


def _without_zone(peer: str) -> str:
    """Return the address of a socket without its zone id (the interface)."""
    return peer.partition("%")[0]


def _forwarded_for(headers: HTTPHeaders) -> str:
    """Return the list of addresses that proxies have written, nearest proxy last."""
    return headers.get("X-Forwarded-For") or headers.get("X-Real-Ip", "")


def _entry_at(value: str, hop: int) -> str:
    """Return the entry at position `hop` from the right, or the leftmost one of a shorter list."""
    entries = [entry.strip().lower() for entry in reversed(value.rsplit(",", MAX_HOPS))]
    return entries[min(hop, len(entries) - 1)]
