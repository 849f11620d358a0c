"""When an album was in one of Spotify's lists."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import GROWING, Base, Surrogate


class Listing(Surrogate, Base):
    """One interval `[since, until)` in which `source` listed an album; open while `until` is null.

    `market` is an ISO 3166-1 alpha-2 code, or empty if the source was read without one; `position`
    is the index, from 0, at which the album entered the list. `missed_since` is when a sweep that
    does not prove absence first missed the album, null if the last one met it.
    """

    __tablename__ = "listings"
    __table_args__ = ({"postgresql_with": GROWING},)

    album_id: Mapped[int] = mapped_column(ForeignKey("albums.id", ondelete="CASCADE"), index=True)
    source: Mapped[str]
    market: Mapped[str]
    position: Mapped[int]
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    missed_since: Mapped[datetime | None]


Index(
    "uq_listings_open",
    Listing.album_id,
    Listing.source,
    Listing.market,
    unique=True,
    postgresql_where=Listing.until.is_(None),
)
Index("ix_listings_since", Listing.since)

# The time between both ends, whichever is earlier: a clock may have been put back meanwhile.
SPAN = func.tstzrange(
    func.least(Listing.since, Listing.until),
    func.greatest(Listing.since, func.coalesce(Listing.until, text("'infinity'"))),
    text("'[]'"),
)

Index("ix_listings_span", SPAN, postgresql_using="gist")
