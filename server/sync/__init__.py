"""The sync cycle (fetch, parse, store, announce), its schedule, and the leader's other jobs.

Begin with `Syncer._cycle` in `syncer.py`; each sync ends in exactly one log event (`report.py`).
`schedule.py` and `pacing.py` decide when the next sync is due, `sync_lock.py` keeps two from
running at once, `jobs.py` runs what only the leading process does: syncs, `artist_details.py` and
`retention.py`. `upstream_status.py` holds in memory what all processes have stored about Spotify's
limits and past syncs; `status.py` is the state of the server that the API, pages and metrics show.
May import `storage`, all of `spotify`, `database`, `catalog` and `models`.
"""
