"""What Spotify sends back with the browser: in a request, or in an address that was pasted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from server.login.errors import AddressUnusable

QUOTES = "\"'`<>()"


@dataclass(frozen=True)
class Callback:
    """What came back with the browser; a parameter that is missing or repeated is None."""

    state: str | None = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None

    @classmethod
    def of(cls, values: Callable[[str], list[str]]) -> "Callback":
        """Read the parameters of a query; `values` returns all that a name has."""

        def only(name: str) -> str | None:
            found = values(name)
            return found[0] if len(found) == 1 else None

        return cls(only("state"), only("code"), only("error"))


def read_address(pasted: str) -> Callback:
    """Read the address at which a browser ended, or its query alone.

    Line breaks and quotes around it are dropped, because terminals and messengers add them. Raises
    AddressUnusable if it is another address, such as that of the consent page.
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
