"""From a snapshot to bytes that are ready to send, and the TTL cache that keeps them.

Begin with `cache.py`: it holds the snapshot, builds answers off the loop (`builder.py`,
`payload.py`), keeps them (`response_store.py`) and rebuilds the popular ones after each sync
(`hot_queries.py`). `broadcast.py` sends changes to event streams, `feeds/` writes feeds. Imports
`catalog` and `observability`.
"""
