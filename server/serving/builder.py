"""Answers made from a snapshot in every coding that is wanted, off the loop."""

from collections.abc import Iterable, Sequence

import structlog

from server.catalog import query as queries
from server.catalog.lifetime import Occasion
from server.catalog.query import ReleaseQuery
from server.catalog.snapshot import Snapshot
from server.observability.instruments import CacheTally
from server.observability.omissions import Omissions
from server.serving import payload as payloads
from server.serving.payload import CODINGS, Coding
from server.serving.response_store import Kept, Key

log = structlog.get_logger()


class Builder:
    """Makes answers; `max_age` is what caches are told, in seconds, `root` this server's address.

    A release that an answer cannot hold is left out of it, and logged by `omissions`.
    """

    def __init__(self, max_age: int, root: str, tally: CacheTally, omissions: Omissions) -> None:
        self._max_age = max_age
        self._root = root
        self._tally = tally
        self._omissions = omissions

    def one(
        self, snapshot: Snapshot, query: ReleaseQuery, coding: Coding, occasion: Occasion
    ) -> Kept:
        """Answer one query in one coding."""
        return self._coded(snapshot, query, (coding,), occasion)[coding]

    def all(self, snapshot: Snapshot, hrefs: Iterable[str], occasion: Occasion) -> dict[Key, Kept]:
        """Answer queries, given in their normal form, in every coding.

        Queries for a day gone by are left out, since they have another snapshot. An answer that
        cannot be made is logged (`answer_failed`) and missing.
        """
        made: dict[Key, Kept] = {}
        for href in hrefs:
            try:
                query = queries.of_href(href)
                if query.at is None:
                    coded = self._coded(snapshot, query, CODINGS, occasion)
                    made |= {(href, coding): each for coding, each in coded.items()}
            except Exception:
                log.exception("answer_failed", href=href)
        return made

    def _coded(
        self, snapshot: Snapshot, query: ReleaseQuery, codings: Sequence[Coding], occasion: Occasion
    ) -> dict[Coding, Kept]:
        of_the_day = queries.depends_on_today(query)
        life = occasion.lifetime(self._max_age, of_the_day=of_the_day)
        whole = payloads.build(
            snapshot,
            query,
            today=occasion.now.date(),
            stale=occasion.stale,
            stale_since=occasion.stale_since,
            max_age=life.max_age,
            revalidate=life.revalidate,
            root=self._root,
        )
        self._omissions.log(query.path, whole.left_out)
        self._tally.builds.inc(len(codings))
        good_until = occasion.at + life.seconds
        return {coding: Kept(whole.coded(coding), good_until) for coding in codings}
