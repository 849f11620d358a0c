"""Operating-system processes: one or several, signals, systemd, memory and garbage collection.

Begin with `main.py`, which serves until a signal arrives. With several processes `supervisor.py`
runs workers (`worker.py`) as child processes (`child.py`). `inherited_state.py` repairs what a
process inherits, `tuning.py` sets its limits, `systemd.py` notifies a service manager. Imports
`app` and everything below it.
"""
