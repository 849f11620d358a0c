"""Validators of single settings; the text of a ValueError says how to fix the value."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from sqlalchemy import URL

from server.config.addresses import DASHBOARD, EmbeddedDatabase, check_address, parse_database_url
from server.countries import MISTAKEN, country

ACCOUNT = re.compile(r"(?:id:|account_id:)?([^\s/:@]+)")
A_YEAR = 366 * 24 * 3600  # seconds; longer intervals are typing errors

BEARER = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
FIXES = {
    "CLIENT_ID": f"copy it from your app's page at {DASHBOARD}",
    "CLIENT_SECRET": f"copy it from your app's page at {DASHBOARD}",
    "SECRET": 'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"',
}


def check_secret(value: SecretStr) -> SecretStr:
    """Raise ValueError if a key of the comma-separated list has fewer than 32 characters."""
    shortest = min(len(key.strip()) for key in value.get_secret_value().split(","))
    if shortest < 32:
        raise ValueError(f"has {shortest} characters and needs at least 32: {FIXES['SECRET']}")
    return value


def check_metrics_key(value: SecretStr) -> SecretStr:
    """Raise ValueError for a key that is no bearer token (RFC 6750 section 2.1) or too short."""
    key = value.get_secret_value()
    if len(key) < 16 or not BEARER.fullmatch(key):
        raise ValueError("must be 16 or more letters, digits or -._~+/: create one like SECRET")
    return value


def check_host(value: str) -> str:
    """Raise ValueError for what cannot be a comma-separated list of addresses or host names.

    Whether they belong to this machine shows only when they are bound.
    """
    parts = [part.strip() for part in value.split(",")]
    if not all(parts) or any(set(part) & set(" /@") for part in parts):
        raise ValueError(
            "must be comma-separated addresses to listen on (127.0.0.1,::1), or * for all"
        )
    return value


def check_sync_interval(value: int) -> int:
    """Raise ValueError unless an interval is 0 (no syncs) or from 5 s to a year."""
    if value and not 5 <= value <= A_YEAR:
        raise ValueError("must be 0 (never), or from 5 seconds to a year")
    return value


def split_accounts(value: object) -> object:
    """Split a comma-separated list of accounts: `ACCOUNT_ID`, `account_id:ACCOUNT_ID` or `id:ID`.

    A value without a prefix is an account_id, which Spotify assigns for linking accounts and never
    reuses. Ids contain no space, colon or slash. Raises ValueError.
    """
    if not isinstance(value, str):
        return value
    accounts = []
    for part in _parts(value):
        found = ACCOUNT.fullmatch(part)
        if found is None:
            raise ValueError(
                "must be comma-separated Spotify account ids (or id:… for an older user id), not "
                "addresses or names"
            )
        accounts.append(part if part.startswith("id:") else found[1])
    return tuple(dict.fromkeys(accounts))


def split_markets(value: object) -> object:
    """Split a comma-separated list of country codes into unique codes in capitals.

    Raises ValueError, which names every wrong one.
    """
    if not isinstance(value, str):
        return value
    codes: dict[str, None] = {}
    wrong = []
    for part in _parts(value):
        try:
            codes[country(part)] = None
        except ValueError:
            hint = MISTAKEN.get(part.upper())
            wrong.append(f"{part} (use {hint})" if hint else part)
    _refuse(wrong, "must be comma-separated country codes of ISO 3166-1 alpha-2 (DE,US)")
    return tuple(codes)


def split_networks(value: object) -> object:
    """Split a comma-separated list of addresses and networks into unique networks.

    Raises ValueError, which names every malformed one.
    """
    if not isinstance(value, str):
        return value
    networks, wrong = [], []
    for part in dict.fromkeys(_parts(value)):
        try:
            networks.append(ip_network(part))
        except ValueError:
            network = _network_of(part)
            wrong.append(f"{part} ({network} is the network)" if network else part)
    _refuse(wrong, "must be comma-separated addresses and networks (10.0.0.0/8, ::1)")
    return tuple(networks)


def _parts(value: str) -> list[str]:
    """Split a comma-separated list; spaces around its parts and empty parts are ignored."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _refuse(wrong: list[str], expected: str) -> None:
    """Raise ValueError if any parts of a list are wrong, with all of them."""
    if wrong:
        raise ValueError(f"{expected}, not {', '.join(wrong)}")


def _network_of(part: str) -> str | None:
    """Return the network of an address with a length, such as 10.1.2.3/8; None if it is neither."""
    try:
        return str(ip_network(part, strict=False))
    except ValueError:
        return None


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(split_networks)]
Markets = Annotated[tuple[str, ...], BeforeValidator(split_markets)]
AccountIds = Annotated[tuple[str, ...], BeforeValidator(split_accounts)]
Database = Annotated[URL | EmbeddedDatabase, BeforeValidator(parse_database_url)]
ServiceUrl = Annotated[str, AfterValidator(check_address)]
