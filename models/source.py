"""Which of Spotify's endpoints and markets this app may use."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Source(Base):
    """The last verdict on an endpoint or market: allowed or restricted, with Spotify's `reason`.

    `name` is a source, `artists`, or `search:` and a country code. `newest` is the newest release
    date in the source at that time, of 4, 7 or 10 characters. A verdict is that on one app;
    `client_id` is empty in rows that were written before client ids were stored.
    """

    __tablename__ = "sources"

    client_id: Mapped[str] = mapped_column(primary_key=True, server_default=text("''"))
    name: Mapped[str] = mapped_column(primary_key=True)
    verdict: Mapped[str]
    reason: Mapped[str | None]
    newest: Mapped[str | None]
    probed_at: Mapped[datetime]
