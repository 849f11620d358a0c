"""What all tables share: column types by annotation, and the names of constraints."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Identity, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Of tables that grow. By default, autovacuum waits for a fifth of the rows, which in a table of
# millions is years: until then, each search from an end of an index passes what was deleted there.
GROWING = {"autovacuum_vacuum_scale_factor": 0.01, "autovacuum_analyze_scale_factor": 0.01}


class Base(DeclarativeBase):
    """Base of all tables: text is `text`, times are `timestamptz`, structures are `jsonb`."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        list[str]: ARRAY(Text),
        list[dict[str, Any]]: JSONB,
        dict[str, Any]: JSONB,
        dict[str, str]: JSONB,
    }


class Surrogate:
    """A key of our own beside Spotify's, so that other sources of releases can be added."""

    id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, sort_order=-1
    )


class Timestamps:
    """When a row was inserted, and when its content last changed."""

    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
