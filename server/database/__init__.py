"""PostgreSQL: the engine, the bridge from the IOLoop, locks, notices, the schema's life.

Begin with `executor.py`, through which all statements run, and `engine.py`, which translates the
driver's errors. `schema.py` migrates, `advisory_lock.py` and `leader_election.py` coordinate
processes, `listener.py` hears `NOTIFY`, `supervisor.py` keeps the database reachable, and
`embedded/` runs a PostgreSQL of our own. Imports `config` and the base modules; the schema's checks
also read `models`.
"""
