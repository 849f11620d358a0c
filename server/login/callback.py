"""Spotify's redirect at the end of a login, as a request or as a pasted address."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from server.login.errors import AddressUnusable

QUOTES = "\"'`<>()"


@dataclass(frozen=True)
class Callback:
    """The parameters of the redirect; one that is missing or repeated is None."""

    state: str | None = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None

    @classmethod
    def of(cls, values: Callable[[str], list[str]]) -> "Callback":
        """Read the parameters; `values` returns all values of a name."""

        def only(name: str) -> str | None:
            found = values(name)
            return found[0] if len(found) == 1 else None

        return cls(only("state"), only("code"), only("error"))


def read_address(pasted: str) -> Callback:
    """Parse the address where the browser's login ended, or only its query.

    Line breaks and surrounding quotes are removed, because terminals and messengers add them.
    Raises AddressUnusable for any other address, such as that of the consent page.
    """
    address = "".join(pasted.split()).strip(QUOTES)
    try:
        query = address.partition("#")[0].partition("?")[2] if "?" in address else address
        found = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise AddressUnusable from None
    callback = Callback.of(lambda name: found.get(name, []))
    if callback.state is None or (callback.code is None and callback.error is None):
        raise AddressUnusable
    return callback
