"""View models of the pages, without input or output.

Start with `release_grid.py`, the list on the start page, whose items are `cards.py`. `condition.py`
picks the one message about the server's state, `bar_chart.py` draws the history on the status page,
and `formatting.py` has dates and numbers. May import `sync`, `storage`, `serving`, `openapi`,
`login` and `catalog`, but no Tornado and no SQLAlchemy.
"""
