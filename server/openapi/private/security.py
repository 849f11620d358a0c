"""How clients authenticate, as OpenAPI describes it. Pure."""

from typing import Any

from server.login.key_store import Scope

SESSION, KEY, KEY_IN_QUERY = "session", "key", "keyInQuery"
ABOUT_SESSION = (
    "The cookie of a browser that has logged in on the start page. It is valid for 30 days, or "
    "until the browser logs out. A request that changes something must also come from a page of "
    "this server, as its `Origin` or `Sec-Fetch-Site` shows."
)
ABOUT_KEY = (
    "An access key: `fr_` and 43 characters. Make one on the page `/my/keys/`, or on a server "
    "without a login by `python manage.py key create`. Its scopes say what it may do: `read` "
    "private lists and feeds, start a `sync`, or `manage` what is private, which includes `read`."
)
ABOUT_QUERY = (
    "An access key with the scope `read`, as part of the address, for feed readers and calendars, "
    "which cannot send headers. Only private feeds accept it. Logs of Freshet show it masked."
)


def schemes(session: str) -> dict[str, Any]:
    """Describe all ways to authenticate; `session` is the name of the session's cookie."""
    return {
        SESSION: {
            "type": "apiKey",
            "in": "cookie",
            "name": session,
            "description": ABOUT_SESSION,
        },
        KEY: {"type": "http", "scheme": "bearer", "description": ABOUT_KEY},
        KEY_IN_QUERY: {
            "type": "apiKey",
            "in": "query",
            "name": "key",
            "description": ABOUT_QUERY,
        },
    }


def secured(scope: Scope, *, in_query: bool = False) -> list[dict[str, list[str]]]:
    """Return the `security` of an operation: a session, or a key with this scope."""
    in_address: list[dict[str, list[str]]] = [{KEY_IN_QUERY: [scope]}] if in_query else []
    return [{SESSION: []}, {KEY: [scope]}, *in_address]
