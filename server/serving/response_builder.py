"""Responses built from a snapshot, in each requested content coding; runs off the event loop."""

from collections.abc import Iterable, Sequence

import structlog

from server.catalog import query as queries
from server.catalog.lifetime import BuildContext
from server.catalog.query import ReleaseQuery
from server.catalog.snapshot import Snapshot
from server.catalog.zones import day_in
from server.observability.instruments import CacheTally
from server.observability.omissions import Omissions
from server.serving import payload as payloads
from server.serving.pages import FROM_MEMORY, BeyondMemory, MakeCursor, Start
from server.serving.payload import CODINGS, Coding
from server.serving.response_store import Key, StoredResponse

log = structlog.get_logger()


class ResponseBuilder:
    """Builds responses; `max_age` is their cache lifetime in seconds, `root` this server's URL.

    `cursor` makes the cursors in links to further pages, which are by offset without it.
    A release that a response cannot hold is left out of it, and logged by `omissions`.
    """

    def __init__(
        self,
        max_age: int,
        root: str,
        tally: CacheTally,
        omissions: Omissions,
        cursor: MakeCursor | None = None,
    ) -> None:
        self._max_age = max_age
        self._root = root
        self._cursor = cursor
        self._tally = tally
        self._omissions = omissions

    def build_one(
        self,
        snapshot: Snapshot,
        query: ReleaseQuery,
        coding: Coding,
        context: BuildContext,
        start: Start = FROM_MEMORY,
    ) -> StoredResponse:
        """Build the response to one query in one coding. Raises BeyondMemory (`payload.build`)."""
        return self._encoded(snapshot, query, (coding,), context, start, self._cursor)[coding]

    def build_private(
        self,
        snapshot: Snapshot,
        query: ReleaseQuery,
        coding: Coding,
        context: BuildContext,
        cursor: MakeCursor,
        start: Start = FROM_MEMORY,
    ) -> StoredResponse:
        """Build a response of an owner, whose cursors `cursor` makes. Raises BeyondMemory."""
        return self._encoded(snapshot, query, (coding,), context, start, cursor)[coding]

    def build_all(
        self, snapshot: Snapshot, hrefs: Iterable[str], context: BuildContext
    ) -> dict[Key, StoredResponse]:
        """Build the responses to queries, given in their normal form, in every coding.

        Queries that need the database are skipped. A response that
        cannot be built is logged (`answer_failed`) and missing from the result.
        """
        built: dict[Key, StoredResponse] = {}
        for href in hrefs:
            try:
                query = queries.parse_href(href)
                if query.portion is None:
                    encoded = self._encoded(snapshot, query, CODINGS, context, cursor=self._cursor)
                    built |= {(href, coding): each for coding, each in encoded.items()}
            except BeyondMemory:
                continue  # it is read from the database when it is requested
            except Exception:
                log.exception("answer_failed", href=href)
        return built

    def _encoded(
        self,
        snapshot: Snapshot,
        query: ReleaseQuery,
        codings: Sequence[Coding],
        context: BuildContext,
        start: Start = FROM_MEMORY,
        cursor: MakeCursor | None = None,
    ) -> dict[Coding, StoredResponse]:
        life = context.lifetime(
            self._max_age, query.zone if queries.depends_on_today(query) else None
        )
        payload = payloads.build(
            snapshot,
            query,
            today=day_in(context.now, query.zone),
            stale=context.stale,
            stale_since=context.stale_since,
            max_age=life.max_age,
            revalidate=life.revalidate,
            root=self._root,
            start=start,
            cursor=cursor,
        )
        self._omissions.log(query.path, payload.left_out)
        self._tally.builds.inc(len(codings))
        good_until = context.at + life.seconds
        return {coding: StoredResponse(payload.encoded(coding), good_until) for coding in codings}
