"""Tables that refuse some rows, as a full disk, a standby or a foreign trigger does."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def refuse_writes(session: Session, table: str, code: str, containing: str) -> None:
    """Let new rows of `table` whose text contains `containing` fail, by a code of PostgreSQL."""
    # A WHEN clause may not read a whole row that has a generated column.
    body = (
        f"BEGIN IF NEW::text LIKE '%{containing}%' THEN RAISE EXCEPTION 'refused'"
        f" USING ERRCODE = '{code}'; END IF; RETURN NEW; END"
    )
    session.execute(
        text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    )
    session.execute(
        text(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    )


def allow_writes(session: Session, table: str) -> None:
    """Undo `refuse_writes`."""
    session.execute(text(f"DROP TRIGGER refuse ON {table}"))
    session.execute(text("DROP FUNCTION refuse"))
