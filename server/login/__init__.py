"""The login with Spotify in a browser, its sessions, and the six months of a consent.

Start with `service.py`, which runs a login from the first click to the session. `attempt.py` holds
a login in progress, `callback.py` parses Spotify's redirect, `login_budget.py` limits logins per
minute, `session_store.py` has the SQL, and `consent_monitor.py` watches the consent's end.
`errors.py` lists every failure with its page, and `error_mapping.py` picks one for an error of
Spotify's. May import `spotify`, `database`, `models` and `config`.
"""
