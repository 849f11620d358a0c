"""Changes as server-sent events: the newest in memory, and a position for each follower.

Begin with `broadcast.py`, which reads new changes once per process and wakes the followers;
`follower.py` is one open stream, `audience.py` limits the streams of each client, `ring.py` holds
the newest changes. Imports `catalog`, `config` and the base modules.
"""
