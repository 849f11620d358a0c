"""The Web API: authorised calls, the sources of new releases, one pass over a source.

Begin with `sweeper.py`, which walks all pages of the source that `sources.py` chose, by way of
`paging.py` and `client.py`. Imports `spotify.auth`, `spotify.limits` and the values of `spotify`.
"""
