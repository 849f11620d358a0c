"""The Web API: authorised calls, the sources of new releases, one sweep of a source.

Begin with `SweepRun.sweep` in `sweeper.py`: `sources.py` chooses a source, `markets.py` leaves out
markets that Spotify refuses, `paging.py` walks the pages, `client.py` makes the calls. `artists.py`
fetches the details of artists. May import `spotify.auth`, `spotify.limits`, the root of `spotify`,
`database`, `models` and `config`.
"""
