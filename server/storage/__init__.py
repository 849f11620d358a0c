"""All SQL of the catalogue.

Begin with `sweeps.py`, which writes a sweep in one transaction, with `releases.py`, `listings.py`
and the journal of `changes.py`, and with `snapshots.py`, which reads what a process serves in three
statements. `sync_runs.py` has the history of syncs and the verdicts on sources, `retention.py`
deletes old rows, `lookups.py` reads a single artist or album. `following.py` has the artists that
people want, `artist_checks.py` what checks of these have found. Every function takes a session and
runs in the caller's transaction. May import `models`, `catalog`, `observability` and the values at
the root of `spotify`; nothing here loads the HTTP client.
"""
