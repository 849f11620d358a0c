"""The consent of the newest login, in memory; logs a daily reminder in its last thirty days."""

from collections.abc import Callable, Collection
from datetime import datetime

import structlog

from models import Login
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import DecryptionFailed
from server.spotify.auth import token_store
from server.spotify.consent import REMIND_FROM, Consent, ConsentState

LIST_THEM = "not in ALLOWED_USERS, so their tokens are not used; add them, or log in"

log = structlog.get_logger()


class ConsentMonitor:
    """Holds the newest login's `consent`, so that requests need no query; None without a login.

    `known` is False until the database has answered once.
    """

    def __init__(
        self,
        database: Database,
        tokens: Encryption,
        allowed: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._allowed = allowed
        self._now = now
        self.consent: Consent | None = None
        self.known = False

    async def begin(self) -> None:
        """Update rows that older keys and versions stored, and log which logins are not used.

        To be called once, at the start. Raises DatabaseError.
        """
        resealed, unreadable = await self._database.run(token_store.reencrypt, self._tokens)
        if resealed:
            log.info("tokens_resealed", logins=resealed)
        if unreadable:
            log.error("token_unreadable", accounts=unreadable, hint=token_store.SECRET_CHANGED)
        await self._database.run(token_store.prefix_bare_ids)
        for value, account_id in await self._database.run(
            token_store.mistaken_entries, self._allowed
        ):
            hint = f"write {account_id} in ALLOWED_USERS; {value} alone may be another account"
            log.warning("allowed_user_mistaken", value=value, account_id=account_id, hint=hint)
        excluded = await self._database.run(token_store.excluded_accounts, self._allowed)
        if excluded:
            log.warning("login_not_allowed", accounts=excluded, hint=LIST_THEM)

    def log_owner(self) -> None:
        """Log if this server has no owner yet; to be called once, at the start."""
        if self.known and self.consent is None and not self._allowed:
            log.info("server_unowned", note="the first account to log in will own this server")

    async def load(self) -> None:
        """Read the newest login. Raises DatabaseError."""
        row = await self._database.run(token_store.newest, self._allowed)
        self.consent = None if row is None else self._read(row)
        self.known = True

    async def tick(self) -> None:
        """Read the newest login and, from thirty days before its end, log a reminder once a day.

        Only one process logs each reminder. Raises DatabaseError.
        """
        await self.load()
        consent, now = self.consent, self._now()
        if consent is None or consent.days_left(now) > REMIND_FROM:
            return
        if await self._database.run(token_store.claim_reminder, consent.account_id, now):
            ended = consent.has_ended(now)
            event = "consent_needed" if ended else "consent_expiring"
            log.warning(
                event,
                days_to_reconsent=consent.days_left(now),
                ends_at=consent.ends_at,
                hint=token_store.LOG_IN_AGAIN if ended else token_store.LOG_IN_SOON,
            )

    def _read(self, row: Login) -> Consent:
        state: ConsentState = "active" if row.state == token_store.ACTIVE else "consent_needed"
        if state == "active" and not self._is_readable(row):
            state = "unreadable"
        assert row.authorized_at is not None
        return Consent(row.account_id, state, tuple(row.scopes), row.authorized_at, row.reason)

    def _is_readable(self, row: Login) -> bool:
        try:
            self._tokens.open(row.refresh_token or b"")
        except DecryptionFailed:
            return False
        return True
