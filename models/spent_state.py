"""Used OAuth states, so that none is accepted twice."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class SpentState(Base):
    """The SHA-256 of a state; after `expires_at` the state is refused for its age anyway."""

    __tablename__ = "spent_states"

    state_hash: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
