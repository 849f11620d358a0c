"""From a snapshot to encoded responses, and the TTL cache that holds them.

Begin with `cache.py`: it holds the snapshot, builds responses off the event loop
(`response_builder.py`, `payload.py`, `json_body.py`), stores them (`response_store.py`), and builds
the popular ones again after each sync (`hot_queries.py`). `portions.py` caches what else a query
needs, such as a past day; `negotiation.py` chooses between codings, `deprecations.py` declares what
of the API is deprecated, `lag.py` checks that the newest sync is served. `feeds/` writes feeds,
`streams/` sends changes to event streams.

Imports `catalog`, `observability`, `database.admission`, `config` and the base modules; `feeds/`
imports `catalog` only.
"""
