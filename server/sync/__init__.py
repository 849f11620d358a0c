"""The cycle: choose a source, fetch, parse, store, announce; and when it runs.

Begin with `syncer.py`; each sync ends in exactly one log event (`report.py`). `schedule.py` and
`pacing.py` say when the next one is due, `jobs.py` runs what the leading process does alone,
`upstream_status.py` holds what all processes know of Spotify's limits and of past syncs. Imports
`storage`, `spotify`, `database` and `catalog`.
"""
