"""Changes as server-sent events: the newest in memory, and a position for each listener.

Begin with `broadcast.py`; `follower.py` is one listener, `audience.py` counts them by client,
`ring.py` holds the newest changes.
"""
