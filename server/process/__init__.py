"""Operating-system processes: one or several, signals, systemd, garbage collection.

Begin with `main.py`, which serves until a signal comes; `supervisor.py` runs several workers
(`worker.py`) as child processes (`child.py`). Imports `app` and everything below it.
"""
