"""What the API is, written for programs and for people: made when first asked for, then kept.

Making it takes a third of a second and some megabytes, which few servers are ever asked for.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.pages import Pages
from server.serving.payload import Coding, Representation
from server.threads import Threads

if TYPE_CHECKING:  # else it is loaded when it is needed
    from server.openapi.reference import Manual

Coded = dict[Coding, Representation]

TRIED = "_operation"  # the parameter that names what a form without scripts tries


@dataclass(frozen=True)
class Reference:
    """The OpenAPI document and the page of it in every coding, and what that page shows."""

    document: Coded
    page: Coded
    manual: "Manual"


class References:
    """The reference of this server, made in one of `threads`."""

    def __init__(self, pages: Pages, threads: Threads) -> None:
        self._pages = pages
        self._threads = threads
        self._made: asyncio.Future[Reference] | None = None

    async def get(self) -> Reference:
        """All of it; who comes while it is being made waits for the same."""
        if self._made is None:
            self._made = asyncio.ensure_future(self._threads.call(self._make))
        return await asyncio.shield(self._made)

    def _make(self) -> Reference:
        from handlers import writing

        return writing.make(self._pages)
