"""The handlers of `/api` and of the feeds, for programs.

Start with `releases.py`, which answers queries from the cache and has the base class of all
payloads; `changes.py` and `events.py` serve the journal, `status.py` the state of the server and
`sync.py` starts syncs. Handlers get their components through `initialize`; `handlers/base.py` turns
errors into problem details (RFC 9457). May import `sync`, `login`, `storage`, `serving`, `catalog`,
`database`, `openapi`, `config` and `observability`.
"""
