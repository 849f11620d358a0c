"""PostgreSQL: the engine, the bridge from the IOLoop, locks, notifications, the schema.

Begin with `executor.py`, through which all statements run, and `engine.py`, which translates the
driver's errors. `schema.py` creates and migrates the tables, `advisory_lock.py` and
`leader_election.py` coordinate processes, `listener.py` receives `NOTIFY`, `supervisor.py` connects
and restarts the embedded server, and `embedded/` runs a PostgreSQL of our own. Imports `config` and
the base modules; the schema's checks also read `models`.
"""
