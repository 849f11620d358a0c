"""Who may use this server: the browser login, its sessions, and the clock of their consent.

Begin with `service.py`, which leads a login from start to end. `attempt.py` is one login under
way, `callback.py` what comes back of it, `login_budget.py` how many may end in a minute,
`known_browser.py` the browsers that strangers cannot keep out, `session_store.py` its tables and
`consent_monitor.py` the six months; `errors.py` has what pages say, and `error_mapping.py` finds
the one for an error of Spotify's.
"""
