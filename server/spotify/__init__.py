"""Everything that speaks with Spotify, and the values that its answers are parsed into.

At the root are values and parsing, which other chapters share: `types.py`, `object_parser.py` (one
album or artist object), `list_parser.py` (a list of albums), `sweep.py` (the result of a sweep),
`consent.py` and `profile.py`; they make no calls. The exceptions are `transport.py` and `proxy.py`,
the HTTP client. Above them: `limits` (may Freshet call now?), `auth` (with whose token?), `api`
(the Web API, one sweep of new releases). Begin with `api/sweeper.py`. The root may import `config`
and `observability`.
"""
