"""Whose login the server lives on, and who may log in."""

from collections.abc import Sequence
from datetime import datetime

from server.config.settings import Settings
from server.doctor.finding import Finding
from server.spotify.auth.token_store import LOG_IN_AGAIN, SECRET_CHANGED
from server.spotify.consent import REMIND_FROM, SCOPES, Consent

RENEW = "log in again at /auth/login/"


def of_consent(consent: Consent | None, now: datetime) -> Finding:
    """The newest login: how long it lasts."""
    if consent is None:
        text = "nobody has logged in; the app's own token does the syncing"
        return Finding("ok", "login", text)
    if consent.state == "unreadable":
        return Finding("fault", "login", "its tokens cannot be read", SECRET_CHANGED)
    if consent.has_ended(now):
        return Finding("note", "login", "Spotify no longer honours the consent", LOG_IN_AGAIN)
    missing = set(SCOPES) - set(consent.scopes)
    if missing:
        return Finding("note", "login", f"lacks the scope {', '.join(missing)}", RENEW)
    days = consent.days_left(now)
    text = f"consent of {consent.authorized_at:%Y-%m-%d}, good for {days} more days"
    if days <= REMIND_FROM:
        return Finding("note", "login", text, RENEW)
    return Finding("ok", "login", text)


def who_may_in(
    settings: Settings, consent: Consent | None, mistaken: Sequence[tuple[str, str]] = ()
) -> Finding:
    """Who owns the server; `mistaken` are entries of ALLOWED_USERS with what to write instead."""
    if mistaken:
        listed = ", ".join(value for value, _ in mistaken)
        text = f"ALLOWED_USERS lists {listed}, the older id of an account, which lets nobody in"
        fix = ", ".join(f"write {account_id} for {value}" for value, account_id in mistaken)
        return Finding("note", "owner", text, fix)
    if settings.allowed_users:
        return Finding("ok", "owner", f"ALLOWED_USERS lets in {', '.join(settings.allowed_users)}")
    if consent is None:
        text = "the first account to log in will own the server"
        return Finding("note", "owner", text, "set ALLOWED_USERS if others can reach it")
    return Finding("ok", "owner", f"{consent.account_id}, who has logged in; nobody else may")
