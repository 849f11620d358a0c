"""Checks of the login: whose consent the server uses, and which accounts may log in."""

from collections.abc import Sequence
from datetime import datetime

from server.config.settings import Settings
from server.doctor.report import Finding
from server.spotify.auth.token_store import LOG_IN_AGAIN, SECRET_CHANGED
from server.spotify.consent import REMIND_FROM, Consent

RENEW = "log in again at /auth/login/"
RENEW_OR_OFF = f"{RENEW}, or set FOLLOWING=off if nobody's followed artists matter here"


def of_consent(consent: Consent | None, now: datetime, scopes: Sequence[str] = ()) -> Finding:
    """Report how long the consent of the newest login lasts, and which of `scopes` it lacks."""
    if consent is None:
        text = "no account has logged in; syncs use the app's own token"
        return Finding("ok", "login", text)
    if consent.state == "unreadable":
        return Finding("fault", "login", "its tokens cannot be read", SECRET_CHANGED)
    if consent.has_ended(now):
        return Finding("note", "login", "Spotify no longer accepts its consent", LOG_IN_AGAIN)
    if missing := consent.lacks(scopes):
        return Finding("note", "login", f"lacks the scope {', '.join(missing)}", RENEW_OR_OFF)
    days = consent.days_left(now)
    text = f"consent of {consent.authorized_at:%Y-%m-%d}, valid for {days} more days"
    if days <= REMIND_FROM:
        return Finding("note", "login", text, RENEW)
    return Finding("ok", "login", text)


def who_may_in(
    settings: Settings, consent: Consent | None, mistaken: Sequence[tuple[str, str]] = ()
) -> Finding:
    """Report who may log in.

    `mistaken` are entries of ALLOWED_USERS, each with the account id to write instead.
    """
    if mistaken:
        listed = ", ".join(value for value, _ in mistaken)
        text = f"ALLOWED_USERS lists {listed}, an older user id, which admits no account"
        fix = ", ".join(f"write {account_id} for {value}" for value, account_id in mistaken)
        return Finding("note", "owner", text, fix)
    if settings.allowed_users:
        return Finding("ok", "owner", f"ALLOWED_USERS admits {', '.join(settings.allowed_users)}")
    if consent is None:
        text = "the first account to log in will own the server"
        return Finding("note", "owner", text, "set ALLOWED_USERS if others can reach the server")
    return Finding(
        "ok", "owner", f"{consent.account_id}, which has logged in; other accounts are refused"
    )
