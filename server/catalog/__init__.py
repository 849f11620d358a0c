"""The catalogue as pure data: releases in memory, and the query language over them.

Begin with `snapshot.py`, what a process serves from, and `release.py`, what feeds and pages show of
a release. `query.py` and `parameters.py` parse requests, `selection.py` applies a query to a
snapshot with the help of `titles.py` and `versions.py`. `lifetime.py` says how long a response is
valid, `journal.py` has the entries of the journal of changes, `schemas.py` describes the API's
responses, `isolation.py` confines a faulty item to itself.

No I/O: it imports the base modules only, and neither asyncio, tornado, sqlalchemy nor structlog.
"""
