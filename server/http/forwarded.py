"""Proxies in front of the server whose word on the client is taken (`TRUSTED_PROXIES`).

There is no standard for what they say. Source: developer.mozilla.org, X-Forwarded-For and -Proto.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPHeaders, HTTPServerRequest, split_host_and_port

from server.http.request_head import HOST

MOST_HOPS = 32  # entries of X-Forwarded-For that are read; no request comes through more proxies
Network = IPv4Network | IPv6Network

OF_PROXIES = (
    "X-Forwarded-For",
    "X-Real-Ip",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "Forwarded",
    "Via",
)
WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+")  # as some proxies write addresses


class TrustedProxies:
    """`scheme` is what clients come by as long as no proxy says otherwise.

    A header of anybody but these proxies is not looked at. Each of them adds the address it was
    asked from at the right of X-Forwarded-For, so the client is the rightmost one that is not
    itself a proxy's; what stands further left, anybody may have written. Addresses are told without
    zone ids, which can be of any length, and differ for each request.
    """

    def __init__(self, networks: Sequence[Network] = (), scheme: str = "http") -> None:
        self._networks = networks
        self._scheme = scheme

    def client(self, peer: str, head: bytes) -> str:
        """The address of whom a request head that came from `peer` is from."""
        if not self._is_proxy(peer):
            return _without_zone(peer)
        fields = head.decode("latin-1").partition("\r\n")[2]
        return self._trace(peer, HTTPHeaders.parse(fields))[0]

    def origin(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the address of the client whose request with these headers came from `peer`."""
        return self._trace(peer, headers)[0] if self._is_proxy(peer) else _without_zone(peer)

    def correct(self, request: HTTPServerRequest) -> None:
        """Let a request tell of the client, not of the proxies it came through."""
        request.protocol = self._scheme
        peer, headers = request.remote_ip or "", request.headers
        if not self._is_proxy(peer):
            request.remote_ip = _without_zone(peer)
            return
        request.remote_ip, hop = self._trace(peer, headers)
        scheme = _said(headers.get("X-Forwarded-Proto", ""), hop)
        if scheme in ("http", "https"):
            request.protocol = scheme
        host = _said(headers.get("X-Forwarded-Host", ""), hop)
        if HOST.fullmatch(host):
            request.host = host
            request.host_name = split_host_and_port(host)[0]

    def shows_the_machine_itself(self, request: HTTPServerRequest) -> bool:
        """Whether a request that was corrected came directly, or by a proxy from this machine.

        Of a proxy that is not trusted, or does not tell the client, nothing is known.
        """
        if not any(name in request.headers for name in OF_PROXIES):
            return True
        client = _address(request.remote_ip or "")
        tells = _address(_said_of_client(request.headers).rpartition(",")[2])
        return bool(tells and client and client.is_loopback and self._trusts(client))

    def _trace(self, peer: str, headers: HTTPHeaders) -> tuple[str, int]:
        """The client's address, and which entry from the right it is; garbage ends the search."""
        client, hop = _without_zone(peer), 0
        said = _said_of_client(headers).rsplit(",", MOST_HOPS)
        for number, entry in enumerate(reversed(said[-MOST_HOPS:])):
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
    """An address, with or without a port; None if it is anything else."""
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
    """The address of a socket, without the interface that it came by."""
    return peer.partition("%")[0]


def _said_of_client(headers: HTTPHeaders) -> str:
    """The list of addresses that proxies have written, the nearest one last."""
    return headers.get("X-Forwarded-For") or headers.get("X-Real-Ip", "")


def _said(value: str, hop: int) -> str:
    """What was said of the client, in a list that may be shorter than that of addresses."""
    entries = [entry.strip().lower() for entry in reversed(value.rsplit(",", MOST_HOPS))]
    return entries[min(hop, len(entries) - 1)]
