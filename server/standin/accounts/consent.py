"""Authorisation requests, read and checked as Spotify's accounts service does."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

SCOPES: Final = {
    "user-follow-read": "See which artists you follow",
    "user-follow-modify": "Change which artists you follow",
    "user-library-read": "See what you have saved in your library",
    "user-library-modify": "Change what you have saved in your library",
    "user-read-private": "See your country and your type of subscription",
    "user-read-email": "See your email address",
    "user-top-read": "See your most played artists and songs",
    "user-read-recently-played": "See what you have played recently",
    "user-read-playback-state": "See what you are playing, and on which device",
    "user-read-currently-playing": "See what you are playing",
    "user-modify-playback-state": "Control what you are playing",
    "playlist-read-private": "See your private playlists",
    "playlist-read-collaborative": "See the playlists you share with others",
    "playlist-modify-public": "Change your public playlists",
    "playlist-modify-private": "Change your private playlists",
}
"""Scope → what it allows, as the consent page says it."""


class ConsentError(Exception):
    """A request that gets an error page instead of the consent page; its text is the title."""


@dataclass(frozen=True)
class ConsentRequest:
    """A checked request; `state` is None if none was sent, `challenge` is "" without PKCE."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str


def read_request(
    query: Mapping[str, str], client_id: str, redirect_uris: Collection[str]
) -> ConsentRequest:
    """Return the request in `query`. Raises ConsentError, with Spotify's messages."""
    redirect_uri = query.get("redirect_uri", "")
    if query.get("client_id") != client_id:
        raise ConsentError("INVALID_CLIENT: Invalid client")
    if is_insecure(redirect_uri):
        raise ConsentError("INVALID_CLIENT: Insecure redirect URI")
    if redirect_uri not in redirect_uris:
        raise ConsentError("INVALID_CLIENT: Invalid redirect URI")
    if query.get("response_type") != "code":
        raise ConsentError("response_type must be code")
    scopes = tuple(dict.fromkeys(query.get("scope", "").split()))
    if not set(scopes) <= SCOPES.keys():
        raise ConsentError("INVALID_SCOPE: Invalid scope")
    challenge = query.get("code_challenge", "")
    if challenge and query.get("code_challenge_method") != "S256":
        raise ConsentError("code_challenge_method must be S256")
    return ConsentRequest(client_id, redirect_uri, scopes, query.get("state"), challenge)


def is_insecure(redirect_uri: str) -> bool:
    """Return whether Spotify refuses the address: http to anything but a loopback IP address."""
    try:
        address = urlsplit(redirect_uri)
        return address.scheme == "http" and not ip_address(address.hostname or "").is_loopback
    except ValueError:
        return True
