"""All SQL of the catalogue: sweeps written, snapshots read, the journal, clean-up.

Begin with `sweeps.py`, which writes a sweep in one transaction, and `snapshots.py`, which reads
what is served in three statements. Functions take a session and run in the caller's transaction.
Imports `models`, `catalog`, `observability` and the values of `spotify`.
"""
